// Package cached is a read-through cache in front of the views.
//
// It is not in front of anything else: journals, series and keys are read where they are durable. What is about a
// person and sealed (display, workouts) is not kept here either: it would outlive the person's key.
//
// Invariants:
//
//   - Every entry knows what it depends on (a grain, a list) and the mark of each, read *before* its rows were read. A
//     committed change of this process raises the marks before anybody hears of it; a read with `at_least` that reached
//     a version raises them to it. An entry with a mark lower than the present one is not served. So no write of this
//     process, and no version that a caller has waited for, is ever read past.
//   - What another process has written, and nobody has waited for, is seen after Config.Age at most.
//   - Misses of the same key with the same marks are one read; a reader that needs a newer version does not join an
//     older read.
//   - The cache may lose any entry, and any write into it, at any time: that costs a read and nothing else.
//   - What is held is bounded by bytes, estimated by the lengths of what is in it; the marks are bounded in number.
//
// What comes out is shared by all who read it: it must not be changed.
package cached
