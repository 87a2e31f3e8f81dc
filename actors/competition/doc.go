// Package competition is the rules of a race: who is entered, when it starts, which gates count, and what the
// result is.
//
// It is not a timing system of its own (trainings find gates and report them), keeps no names (entries are numbers of
// users' ids) and has no clock: every command says when it is.
//
// Phases: draft → open (it has an entry) → locked (rules_version pinned) → countdown → running → settling →
// provisional → official; corrections of an official result are further versions of it; cancelled ends any phase before
// official. The gun is the announced instant of the start command, whenever that is carried out; each entry's own gun
// is the race's plus the offset of its wave or its own.
//
// What counts for a result (Standings says the same as code):
//   - A gate counts from the entry's own gun through the cut-off, both ends included, by event time.
//   - An entry that passed the finish is FINISHED. Otherwise: not bound to a training = DNS; its training did not answer
//     the settle = RACING and UNDER_REVIEW, never DNF; anything else = DNF. Withdrawn, and a decision (dsq, dnf, dns),
//     override that.
//   - Gun time = finish − own gun + penalties; net time = finish − start gate (own gun if the course has none)
//   - penalties. Microseconds, unrounded; places of equal times are equal (1, 2, 2, 4).
//   - Only who has finished and is not UNDER_REVIEW has a place. Order of rows: places; UNDER_REVIEW; DNF by the
//     furthest gate, then its instant, then entry number; DNS; DSQ. Within UNDER_REVIEW, DNS and DSQ: by the furthest
//     gate, then the time to it on the ranking's base, penalties included, then entry number.
//   - Times of gates are never changed by penalties: these are items of their own.
//
// A result rests on a settle: each training answers once from a fresh read, and what it answers replaces what was
// reported. What a training reports beyond its answer is LateInput: kept, told, and not counted before another settle.
//
// Units: unit.InstantMs for clocks and guns, unit.InstantUs for gates, millimetres. Invariants are in Check.
package competition
