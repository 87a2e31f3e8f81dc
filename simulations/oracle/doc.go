// Package oracle computes standings a second time, naively: whole tracks in memory, math/big for every ratio, no
// increments, no checkpoints, no cleverness. It shares nothing with the product but domain/unit, so that a mistake
// in one is not a mistake in both. verify and simulations/world compare the two.
//
// What it computes is defined in words in actors/training/doc.go (the timeline) and actors/competition/doc.go (the
// result); where the two programs differ, the words decide which one is wrong.
package oracle
