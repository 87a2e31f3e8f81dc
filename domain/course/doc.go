// Package course is the track of a race as rules see it: a GPS course or a distance, with its gates in the order
// in which they are visited.
//
// It is not geometry (domain/geo is) and not a wire form (api/track is). The index of a visit is *the* gate number
// everywhere: in events, reports, boards and results; laps are unrolled, so a gate that is passed on three laps
// has three numbers. Invariants: a *Course is valid and never changes once New has returned it; the last visit is
// the finish and is mandatory; a start gate, if there is one, is visit 0 and begins net time, otherwise net time
// begins at the entry's gun. Units: millimetres, positions in 1e-7 degrees.
package course
