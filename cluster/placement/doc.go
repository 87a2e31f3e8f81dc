// Package placement decides which member owns a grain, and keeps the activations of this one.
//
// It replaces Proto.Actor's identity lookups, which activate twice by design and lose messages behind a stop. It is
// not what makes a grain unique: membership can disagree, and then the compare-and-set of every append decides
// (architecture 7). Here overlaps are only made rare and short.
//
// Invariants:
//   - The owner is the member with the highest mixed hash of (affinity, address): everything with one affinity lives
//     on one member, and members that come or go move only their share.
//   - An activation is made only by the member that believes itself the owner.
//   - A grain that stops is never just gone: for a while it answers "moved", and hands one-way messages on.
//   - A grain that panics is answered for, logged and dropped; the next message activates it anew from its journal.
package placement
