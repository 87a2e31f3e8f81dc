// Package live is the Go client of the live protocol: one WebSocket that a device, an app or a viewer holds to a
// node, kept alive over reconnects.
//
// It keeps what is not acknowledged and sends it again, gives every command an id so that a repeat is safe, and
// resumes topics at the {epoch, version} last seen. It is not a device: it measures nothing. Times are in the
// device's own clock, in milliseconds; the node's clock is known through ServerNow.
//
// A Client is safe for concurrent use. Handlers are called from the client's read loop, one at a time: they must
// not block and must not call methods that wait.
package live
