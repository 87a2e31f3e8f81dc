// Package cql is a row driver over a server that speaks CQL: ScyllaDB, or Apache Cassandra 5.0.
//
// It is not a mapper and it knows no word of the product: buckets, cover, chunks and blocks are in package
// persistence. It does not make its tables: cql/schema does. docs/storage.md says what lies where.
//
// Invariants:
//
//   - journal, subject_key and control are written by conditional batches only (PutIf), every other table never by one:
//     a plain write has the client's timestamp and a conditional one the ballot's, and the two cannot be compared.
//   - A conditional batch touches one partition of one table. Of its answer only [applied] of the first row is
//     read. It is never sent twice: whether it happened is for the layer above to find out, by Head at
//     LOCAL_SERIAL and the append id.
//   - Plain writes are at LOCAL_QUORUM with a timestamp of this process that only rises, so that they may be
//     repeated and a later one of this process wins. One whose outcome is unknown is sent once more, with the
//     same timestamp.
//   - ErrUnavailable means that nothing was written and nothing will be; whatever is not known to be that is
//     ErrUnknown (outcome.go is the table).
//   - What is under way is bounded, and what waits for that too (lane.go); beyond it a call fails at once with
//     ErrUnavailable.
//   - All nodes of one installation write through the same datacenter: LOCAL_SERIAL decides within one.
//     cql/schema notes which, and a node that would write through another does not start.
//
// Durations are time.Duration; timestamps are microseconds since 1970.
package cql
