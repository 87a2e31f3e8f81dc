// Package rank is the order of a board: who stands where, kept while thousands of entries move.
//
// It is not a leaderboard with names, ties rules or categories; it knows entries (small numbers) and keys (128
// bits, smaller is better), and answers entry → place, place → entry, windows and what has changed. What a key
// means is the caller's: Race packs the one for races in progress.
//
// A Board is a counted B+tree: leaves hold keys and entries in order, every inner node knows how many entries lie
// below each child, and an array says for each entry in which leaf it is. So an update touches the old leaf, the new
// leaf and the few nodes above; an entry that stays between its neighbours touches one leaf. Nodes lie in
// arrays without pointers, so a board of a million entries costs the garbage collector nothing.
//
// Invariants (Check verifies all): the order is total, by key and then by entry; every leaf but the first and
// the last is at least a quarter full; counts are exact. Not safe for concurrent use, readers included (Dense places
// keep counts).
//
// Ties: equal keys share a place. Place skips the places that a tie has used up (1, 2, 2, 4), under Dense
// it does not (1, 2, 2, 3).
//
// Boards merge: those of several heats, each with its own entries, become one, or are only looked at together
// (TopAcross, PlaceAcross).
package rank
