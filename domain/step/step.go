// Package step is the vocabulary of protocol code that runs without a runtime.
//
// A shell, a session and a hub each have Step(now, msg, from) []Out: no clock, no I/O, no goroutine. What is
// to be done comes out as an Out, and its outcome comes back later as a msg. Proto.Actor carries the messages
// in a node; simulations/world carries the very same objects on a virtual clock.
//
// This package is only words; it does nothing.
package step

import (
	"paceline/domain/id"
	"paceline/domain/unit"
)

// Now is what the clocks said when a message arrived, and how the node's store was then.
type Now struct {
	// Wall is the machine's clock: retries, back-off, checkpoints, heartbeats, board tick, wake-up rows.
	Wall unit.InstantMs
	// Node is the node's injected clock {origin, anchor, rate}: event time, Meta.At, rules, race timers.
	Node unit.InstantMs
	// WallOfNode converts an instant of the node clock to the wall clock (a wake-up's due is wall time).
	WallOfNode func(unit.InstantMs) unit.InstantMs
	// StaleSince is since when, on the node clock, this node's store has not kept up; 0: it does. It is only ever shown:
	// nothing is decided by it.
	StaleSince unit.InstantMs
	// Full: the store takes no writes, because its disk is nearly full. What would need one is refused.
	Full bool
}

// Return is the way back to whoever asked: opaque to the step, filled by the carrier. Nil: nobody waits.
type Return any

// Out is something to be done. The concrete types are below and in the packages that need more.
type Out interface{}

// Send is a one-way message to a grain. It may be lost, doubled or late: nothing may depend on its arrival.
type Send struct {
	To  id.Grain
	Msg any
}

// Reply answers a request exactly once. Err, if set, is a fault for the caller.
type Reply struct {
	To  Return
	Msg any
	Err error
}

// ToNode is a one-way message to the hub of one node (by its member id), for topics that it asked for.
type ToNode struct {
	Node string
	Msg  any
}

// After asks for a Tick{Key} not before the wall instant At. A newer After with the same Key replaces it.
type After struct {
	Key string
	At  unit.InstantMs
}

// Tick is the message that an After becomes.
type Tick struct{ Key string }

// Stop ends this activation: its state is worthless (fenced, failed) or nobody needs it (passivated).
type Stop struct {
	Why string
	// Fenced: another activation has written to the journal. By is the member that has it, if its Opened says so.
	Fenced bool
	By     string
}
