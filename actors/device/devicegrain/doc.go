// Package devicegrain is the shell of a device: it takes frames, judges them by the rules, makes them durable
// and acknowledges, and tells trainings that there is more to read.
//
// It is not the rules (package device) and not the runtime: a Shell is a step object. It has no clock, no I/O
// and no goroutine; what is to be done comes out of Step, and outcomes come back into it.
//
// Each stream has a lane: work in the order in which it came, one thing at a time.
//
// Invariants ("Order of samples"):
//   - through is the end of the unbroken cover by durable rows and journalled skips; nothing above it was
//     acknowledged by this activation;
//   - a row never holds a seq at or below the through known when it was written, never crosses a bucket, and is
//     the only write in flight of its stream; without an outcome it is repeated, the same bytes;
//   - before stream_opened, stream.gap and a skip the rows and the journal are read again; a journal that has
//     moved means that another activation lives, and this one stops;
//   - nothing is acknowledged before the training has journalled the stream;
//   - bytes waiting in all lanes together are bounded.
package devicegrain
