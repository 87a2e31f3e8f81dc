// Package ws is the WebSocket connections of the live protocol: sockets, goroutines, timers, queues.
//
// It is not the protocol: what a message means is gateway/session, what it looks like gateway/wire, what is fanned
// out gateway/hub. It carries their messages.
//
// A connection has two goroutines: the read loop (the HTTP handler's own) reads, decodes and steps the session; the
// write loop steps it with everything that comes from elsewhere (answers, timers, notices) and is the only one that
// writes. Both end when the socket does. A server has one sweeper that drops connections whose client has not read
// for WriteWithin, and a few goroutines that read views.
//
// Queues: frames for one client 256 and 1 MiB (more: close code slow, the client comes back and resumes); board
// cuts one newest frame for each subscription (older ones are replaced); answers from elsewhere as many as were
// asked for.
package ws
