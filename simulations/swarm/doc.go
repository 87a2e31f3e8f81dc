// Package swarm is the load client and its truth checker: any number of devices and viewers over real WebSockets
// against a node that is already there.
//
// It is not part of a node, imports no grain and no store, and believes nothing that a node says: what a device has
// sent is kept here, and from it follows what must be stored (digests), which gates must have been passed and when,
// and who must have won. A benchmark of it fails only on truth, never on time.
//
// The checks: an acknowledged sample is stored with the values that were sent (acknowledged = stored); a board that
// was put together from deltas equals a fresh snapshot (boards converge); no viewer sees {epoch, version} fall (no
// viewer goes back); every gate time and the order are those that the sent samples give (order right).
//
// Times: devices live on the node's clock, which may run at another rate; everything about the machinery (latencies,
// pauses, deadlines) is wall clock.
package swarm
