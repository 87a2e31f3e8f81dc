// Package persistence is the contract of the stores, and the logic that all drivers share.
//
// It is not a driver: memory, embedded (Pebble) and cql are, each a small row driver under the same logic for
// buckets, trims, cover, head search, chunking and blocks. Grains do not call a store: they ask for an Op and
// get its outcome as a message, so that the simulated world can delay, lose and repeat every one of them.
package persistence
