// Package call is the way of every message to a grain: requests with an answer, and one-way messages.
//
// It is not Proto.Actor's own request: that one waits the whole time for a lost message, sleeps nanoseconds
// between its attempts and changes settings of the whole process. Here the first attempt lasts 400 ms inside the
// caller's deadline, each next one after a silence twice as long, up to 1.6 s (ADR 0024); after a timeout, a dead
// letter, "moved" or a fault that says "not now", the grain's place is looked up again and the same message is sent
// again, so every message that changes something must carry a command id (or be idempotent by itself).
//
// Invariants:
//   - done is called exactly once for each Start, from any goroutine; it must not block.
//   - No goroutine waits for an answer; the number of requests under way is bounded.
//   - A one-way message may be lost, doubled or late.
//   - Times are wall time.
package call
