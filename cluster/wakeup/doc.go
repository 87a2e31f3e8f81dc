// Package wakeup fires the durable "later": it reads the wake-up rows of the shards that this node owns and tells
// their grains to look at their journals (architecture 5b).
//
// It is not a timer for people: what it fires may come twice, or late, and a grain that finds nothing to do does
// nothing. It never deletes a row; only the grain does.
//
// Sweeper is a step object: no clock, no I/O, no goroutine. A node carries it, and simulations/world carries the same
// one.
//
// Invariants (wall clock):
//   - A row that was acknowledged at least 10 s before it is due is fired within a second of its time: each shard is
//     read again at the latest after 5 s, so far ahead that the next read comes in time. That is all that is read while
//     nothing is due: about 64 small reads a second for 256 shards. A row that is known is fired at its time, late by 50 ms
//     at most; the rest of the second is for a store that takes its time: reads have 2 s until a row in them can be late.
//   - A due row is fired again every 30 s, each time after it has been read again, until it is gone. After a change of
//     owners, at once and then each time as long as the change is ago, at least a second: what was sent to a node that
//     died, or to one that did not know yet that the grain is its own, is lost without a word.
//   - A minute is settled when it was read empty 10 minutes after its end; until then it is read again once a minute.
//     The low-water mark is the first minute that is not settled. It lags, and never lies ahead.
//   - A shard without a mark gets one before anything is swept: the node writes no wake-up before Known.
//   - At most 16 reads are under way, and at most 500 wake-ups leave in one step, and by time alone in one second.
package wakeup
