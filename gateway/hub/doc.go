// Package hub keeps this node's replicas of boards, rosters, feeds and workouts, makes the cuts that its viewers
// asked for, and hands each changed cut once to all of them.
//
// It is not a connection and not the truth: a replica is what the competition's grain last told this node. Hub.Step
// has no clock, socket or goroutine; carry.go carries its messages in a node, the simulated world carries them too.
//
// The way of a frame: Step makes one Frame for a changed cut; it is offered to the Slot of every subscription; each
// connection's write loop takes its slots when the socket has room, and the frame is encoded then, once for each
// encoding, whoever takes it first. A slot holds the newest frame only (newest state wins); a connection that
// missed a frame gets the snapshot of the newest one, again the same bytes for all. Feed entries are not
// conflated: what a slot has missed comes from the frame's log or from the view's history.
//
// A topic and cut have a number, which deltas carry in place of the names; a slot's first frame names it. A delta of
// a board leaves out what clients keep (api/board); what it could not say is a snapshot.
//
// Invariants: within a slot {epoch, version} only rises; a delta is sent only on the version it is based on; an
// update of a lower epoch changes nothing. One goroutine runs Step; Standing may be called from any.
package hub
