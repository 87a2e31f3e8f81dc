// Package board says what changes on a live board in few bytes, and takes such a change: the one place that knows
// what a delta leaves out (live.proto, Board and BoardRow), for the node that makes deltas and the clients that
// fold them.
//
// It is not the ranking and knows no connection, topic or version: whether a delta follows what somebody has is
// decided before.
//
// Invariants: View.Take of a snapshot and of the deltas after it gives exactly the boards that they were made
// from; rows that were given to a View are never changed by it. Times are milliseconds of the node's clock.
package board
