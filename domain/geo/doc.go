// Package geo is the course: a line on the ground, the gates across it, and where an athlete is between them.
//
// It is not a geodesy library and reads no files. Two kinds of arithmetic live here and never mix:
//
//   - What decides a result is integer. Cross says whether and when a step crosses a gate, exactly, for
//     positions in degrees at any integer scale: the product uses 1e-7 degrees ("e7"), the golden test 1e-12.
//     u is a ratio of cross products and does not change under scaling, so no projection is needed.
//   - What is only shown is floating point, rounded to whole millimetres: distances (haversine on a sphere of
//     radius 6,371,000 m) and progress along the course. Progress is never in a published result.
//
// Invariants: a *Course is valid and immutable once NewCourse has returned it and may be shared by any number of
// goroutines; Passing and Progress are plain values, written by one goroutine, and are right prefixes of a
// deterministic fold, so they may be stored as checkpoints and dropped at will.
//
// Units: positions e7 unless said otherwise, lengths unit.DistanceMm, sample times unit.InstantMs, crossings
// unit.InstantUs. No line or step may span the antimeridian.
package geo
