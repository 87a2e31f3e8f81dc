// Package oracle computes standings a second time, naively: whole tracks in memory, math/big for every ratio, no
// increments, no checkpoints, no cleverness. It shares nothing with the product but domain/unit, so that a mistake
// in one is not a mistake in both: laps, lengths and the limits of sports are its own too. verify and simulations/world
// compare the two; simulations/audit, which translates for it, says what it takes as given.
//
// What it computes is defined in words in actors/training/doc.go (the timeline) and actors/competition/doc.go (the
// result); where the two programs differ, the words decide which one is wrong.
package oracle
