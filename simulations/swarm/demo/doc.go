// Package demo is `paceline demo`: a whole race on a node of its own, from the first registration to the verified
// result.
//
// It is not part of a node and has no way into it but those that everybody has: it starts the program as a child
// process, manages the race over the API, and every athlete is a device on a WebSocket. No code asks whether this is
// a demo; what is special is only the clock that the node is started with: the recording's time, faster.
//
// Invariants: success means that every check holds and that `verify` agrees on every entry; whatever it starts it
// ends, also when it fails. Results, the bundle and the node's log lie in the run's folder. Devices and the race live
// on the node's clock; waiting, deadlines and progress are wall clock.
package demo
