// Package training is the rules of a workout: what it may be told, what has happened in it, and how the streams of
// its devices become one timeline with gates, progress and totals.
//
// It is not the shell (traininggrain reads the store and talks) and knows neither bytes nor clocks. Two parts:
//
//   - Decide, Apply, React, Answer, Check over State: the facts of the workout's journal.
//   - Fold: samples → Result. It is a pure function of Params (which come from the State), the devices' facts and
//     the samples handled so far, in short of the basis: however blocks are cut, ordered or repeated, the same
//     basis gives the same Result.
//
// The timeline, exactly:
//
//   - Each stream is folded in order of seq. Refused samples and those under a skip do not count; neither do those
//     whose event time (device time + offset of the last ClockSet at or before that seq) is not after the one
//     before, or after the finish (a stream that finish_workout names counts through its last_seq in any case).
//   - Position and distance come from one stream at a time: the primary if named, else best trust of the channel,
//     then a GNSS clock, then the lowest stream id. The next one fills only holes of more than 10 s, also before
//     the first and behind the last sample; it is never averaged.
//   - A counter that falls has begun again at zero. A step over twice the sport's limit earns no distance and is
//     flagged, if it comes after the gun and before the finish. A step of the timeline to a sample of stream S
//     earns what S counted over that time, interpolated between S's own samples (floor), or nothing if S had none
//     before.
//   - Distance race: gate X is passed when the counter reaches mark + X, where mark is the counter at the gun
//     (interpolated, floor; the first sample's if none lies before the gun):
//     floor(t0 + (mark+X-c0)·(t1-t0)/(c1-c0)) in µs.
//   - GPS course: geo.Course.Pass over the straight steps of the timeline; crossings before the gun do not count. Gates
//     that lie on one line, as a sprint at the finish, are passed in one instant.
//     An impossible step is flagged, and still crosses what it crosses: a gate is never lost to one bad position.
//
// Invariants: State.Gates are those of the newest observed Result; facts are keyed by gate, so folding again
// journals nothing twice. Units: event times unit.InstantMs, gate times unit.InstantUs, lengths millimetres.
package training
