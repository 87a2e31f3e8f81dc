// Package cluster makes a process a member: grains are placed, reached and drained through it.
//
// It is Proto.Actor as published, used as mailbox, transport and topology, with three parts of our own around what
// is wrong in it: placement (cluster/placement), the way of a message (cluster/call) and the fan-out to nodes
// (cluster/link). It is not what makes a grain's writer unique: that is the compare-and-set of every append.
//
// A member is alone, with a port on loopback that refuses every peer (lone), or one of many (members): those who are seen
// by gossip and serve by the rule of cluster/split, over mutual TLS and a filter (cluster/port), because a peer on
// Proto.Actor's own port can crash the process with one message.
//
// The runtime's own data races (its member list reads without its lock, and its server sets the process-wide gRPC
// logger) make whole-cluster tests noisy under -race; so those are left out under -race, and everything that runs
// without a cluster is in it.
package cluster
