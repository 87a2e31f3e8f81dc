// Package machine drives event-sourced grains: decide, apply and react, append, reply, effects.
//
// A Machine is a step object: it has no clock, no I/O and no goroutine. It asks for I/O as persistence.Do and
// gets the outcome as persistence.Done. A Carrier carries any step object in a node; simulations/world carries
// the same objects on a virtual clock. It knows neither Proto.Actor nor the wire.
//
// Invariants:
//   - Nothing leaves before its append is committed: replies, effects, answers to queries and refusals wait for
//     every append that the state they saw contains.
//   - One append is in flight; what is decided meanwhile forms the next one (group commit).
//   - An unknown outcome is resolved at the head by append_id, never guessed.
//   - A refusal that nobody would repeat leaves only after a look at the head: an activation that was overtaken
//     refuses by a state that is not the grain's any more.
//   - A fenced or failed activation answers everything held with a retryable fault and stops.
//   - The wake-up's row is acknowledged before the append that needs it is issued.
package machine
