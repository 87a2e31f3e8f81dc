// Package link carries boards and notices to the hubs of nodes: one link on each node, used in both directions.
//
// It is not a way to grains (that is cluster/call), and nothing on it may be needed for truth: a lost update shows as
// a version that does not follow, or at the next renewal of the node's interest, and is answered with a snapshot.
//
// Invariants:
//   - One goroutine calls the handler, in the order of arrival; the mailbox in front of it never waits.
//   - The queue is bounded. A topic update that finds it three quarters full is dropped and its topic marked: the
//     handler is told to resync it once there is room. Notices to sessions are dropped only when it is full.
package link
