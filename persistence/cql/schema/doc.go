// Package schema brings a CQL keyspace to the tables that this binary needs, and says at the start what is missing.
//
// It is not the driver: it knows tables and columns, no rows of the product. A migration is a numbered file of this
// folder (0001_name.cql), embedded in the binary. Migrations go forward only. The invariants:
//
//   - Each statement may be run again (statement.go refuses others), so a migration that was cut off is simply run again.
//   - A table of the keyspace, schema_migration, says what was run: number, name, digest, by whom, begun, finished.
//     A migration whose digest has changed after it was finished is refused.
//   - One migrator at a time: a holder in the same partition, conditional, with a time to live of LockLife. Everything
//     that is noted is conditional on still holding it. Should one lose it in the middle, two run the same repeatable
//     statements, which is harmless.
//   - A migration says with "-- min-reader: N" which binaries it leaves working: those that know the migrations
//     through N. It runs while they serve. A binary refuses a keyspace whose newer migrations want a higher one.
//   - One that nodes which serve may not read is not run under them: their rows in table node are looked at for whether
//     they move, and no further.
//   - All nodes write through one datacenter: the first one notes it beside the migrations (Keep), Check compares.
//
// Check touches nothing. Durations are time.Duration, instants those of the caller's clock.
package schema
