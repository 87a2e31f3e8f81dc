// Package link carries boards and notices to the hubs of nodes, and messages to grains of other members: one link on each
// node, used in both directions.
//
// It decides nothing about grains (that is cluster/call), and nothing on it may be needed for truth: a lost update shows
// as a version that does not follow, as a hole in the parcels' numbers, or at the next renewal of the node's interest, and
// is answered with a snapshot; a lost request is tried again by whoever asks.
//
// Invariants:
//   - One goroutine calls the handler, in the order of arrival; the mailbox in front of it never waits.
//   - The queue to the hub is bounded. A topic update that finds it three quarters full is dropped and its topic marked: the
//     handler is told to resync it once there is room. Notices to sessions are dropped only when it is full.
//   - What waits for a member and what is under way to it is bounded in bytes (Config.PeerMost). What is under way is
//     what it has not said that it took, so a member that takes nothing stops those who ask it, not this node's memory.
//   - What comes alone goes at once; what comes in a crowd goes in parcels Config.Collect apart.
package link
