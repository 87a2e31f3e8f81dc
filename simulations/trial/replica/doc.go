// Package replica is the trial of a store that loses a replica, and of a node that is killed while it does.
//
// A ring of real servers takes the writes of a process of its own: grains on the real machine, whose clients send
// numbered commands and repeat them until they are answered, and streams of samples that go on where the rows end. The
// trial kills replicas and that process, in the middle of writes, brings them back, and reads everything afterwards.
//
// It is no load test and it does not measure.
//
// Invariants, each of which Report.Wrong names the first breach of:
//
//   - what was acknowledged is found, and a command where its answer said (version);
//   - a command is in the journal once, whole and in the order in which its client sent it;
//   - a sample is in its stream once, without a hole, with its own values;
//   - with three replicas and one away the writes go on.
package replica
