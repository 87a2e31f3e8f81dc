// Package embedded is the row driver of a lone node: one folder, no server, on Pebble.
//
// It is not for clusters: only the process that holds the folder can write, and a second one is refused when
// it opens it. What a write was answered for is synced to the disk (concurrent writers share one sync), except
// in tables that are caches. What a reader sees is synced too: a read of a partition waits for the write to it
// that is under way, because an acknowledgement or an answer may rest on what was read.
//
// Keys: table, length of the partition's key, key, then 0 for the head or 1 and the clustering key for a row.
package embedded
