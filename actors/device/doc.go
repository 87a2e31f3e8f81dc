// Package device is the rules of one device: who owns it, who rides it now, and its streams of samples.
//
// It is not the time series: samples are never events. It judges them (Accept), and keeps the facts under which
// they are read (StreamFacts): window, limits, channels, clock, skips, floor. It does not decide who may call:
// the gateway does; here only domain ownership is checked.
//
// A stream is opened once for a workout and a person, may be opened again by another connection, may be closed
// (nothing above last_seq comes any more; what is missing below may still come), and is recorded in the end
// (the floor: below it a recording holds the samples).
//
// Invariants, asked for by State.Check:
//   - what a stream was opened with never changes;
//   - clocks rise in FromSeq, each at least 1; skips rise and do not touch; a skip never begins below the floor
//     that was journalled before it;
//   - FactsVersion is the version of the newest fact of any stream, and never above Version.
//
// Accept is a pure function of what StreamOpened says and of the last 64 handled samples of lower seq, so that
// two activations decide the same about the same bytes, however batches are cut. Accepted device times rise,
// except behind 64 refused samples in a row: then the device's clock is believed again.
//
// Units: device times and instants in milliseconds, seqs count from 1 in each stream, offsets in milliseconds
// (event time = device time + offset).
package device
