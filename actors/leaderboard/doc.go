// Package leaderboard says what a board ranks by: which keys, in which order, and what a tie is.
//
// It is not a board (domain/rank keeps those) and knows no race: a Contender is what is known of one entry, and a
// Ranking is data, a chain of keys. Two Contenders that are equal on every key of the chain share a place, and the
// places after them are skipped (1, 2, 2, 4); the entry number comes last in the order but never breaks a tie.
//
// Statuses order before everything else: who races or has finished, who is entered, DNF, DNS, DSQ. Only the first
// group has places.
//
// The live order is: more gates; then the earlier time at the last common gate; then the larger progress; then the
// entry number. Race is the same order packed into the three words of a rank.Key.
//
// A gap in time is the time between two athletes at one place on the course: the leader's Trace says when the
// leader was where the other is now. Where it does not reach, the gap is one in millimetres.
//
// Units: instants in milliseconds or microseconds as typed, lengths in millimetres. Places rest on unrounded
// microseconds. Invariants: every order is total and independent of the order of its input.
package leaderboard
