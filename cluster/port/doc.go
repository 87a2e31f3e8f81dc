// Package port guards the port on which the members of a cluster talk to each other.
//
// Proto.Actor's remote takes any message for any actor from anybody, and panics on what it does not know; so nothing
// reaches it that has not been looked at here. Two fences stand one behind the other: mutual TLS 1.3, by which only a
// process with a certificate of the cluster's own authority gets a connection, and a filter on every batch, which lets
// through one message type (paceline.cluster.v1.Parcel) for one actor (the link) of this
// node, and counts what it drops: what is for an actor of another node the runtime would send on to there.
//
// What a stranger can cost has a bound: 64 connections that have shown no certificate yet (one more pushes the oldest
// out), each for 5 s. A member's mistake has one too: 256 connections, 4 calls on each, 16 KiB of headers.
//
// It is no protection against a member that lies: who has the key is trusted with every grain.
package port
