// Package session is the logical session of one WebSocket: who is there, what streams are open, what is
// unacknowledged, what is watched.
//
// It is not a connection: no socket, no clock, no goroutine, no I/O. Everything that happens comes in as a
// message of in.go, everything to be done goes out as an Out of out.go or domain/step; the connection
// (gateway/ws) and the simulated world carry both. Step is called by one goroutine at a time.
//
// Invariants: nothing but hello is obeyed before hello; every message and topic passes auth.Check; telemetry is
// forwarded in the order of a stream's seqs, and after a frame was dropped nothing above it is forwarded until
// the client has gone back; at most UnackedFrames frames and UnackedBytes bytes are under way; every timer and
// every request has an end. Sample rates and clock readings are on the node clock, everything else (heartbeat,
// deadlines, retries, tokens) on the wall clock.
package session
