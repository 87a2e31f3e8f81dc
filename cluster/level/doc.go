// Package level is the cluster's feature level: one number in the store that says which messages, events and formats
// may be written. What a release adds it can read at once, and writes only when an operator has raised the level, which
// works when every member can read it. So nodes of two releases serve side by side, and the older one can still be gone
// back to.
//
// Invariants:
//   - The level only rises: it is the version of its partition's head, and every change of it is a compare-and-set.
//   - What is gated asks Current each time. Nothing that a level allows is taken back.
//   - A node that cannot read the level does not serve.
package level
