// Package trial holds races on a cluster of real node processes, over real sockets and a CQL store, while something
// happens to the nodes: they are killed, stopped, cut off, restarted, asked to leave, joined. After each the truth is
// looked at: what was acknowledged is stored, every gate time and place follows from what was sent, every viewer shows
// what somebody sees who has just come and never went back, no client was refused anything but what belongs to coming back,
// the exported result verifies, by the rules and the oracle, and the journals, read past the nodes, have each version once,
// without a hole, and each command that was answered where its answer said, once.
//
// It is not a load test (simulations/swarm is), and it does not look into nodes: all it uses is processes, signals,
// sockets and the program's own commands.
//
// Invariants: only processes that the package has started are signalled; all of it is on loopback; every wait has an
// end. Durations are wall clock; a race's instants are the nodes' clock in milliseconds.
//
// The nodes run with a settle delay of 5 s instead of the 60 s of a CQL store. The delay is for an activation that still
// acknowledges after another one has taken its place. A process that was killed acknowledges nothing, and after a graceful
// leave the old activation has let go before the new one begins; where a node is stopped and continued, the trial demands
// that its run has ended before the race does. So no acknowledgement can be later than 5 s after a race's end.
package trial
