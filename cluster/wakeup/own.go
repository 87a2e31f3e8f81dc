package wakeup

import (
	"strconv"

	"paceline/persistence"
)

// Affinity is the name by which a shard is placed.
func Affinity(shard int) string { return "wakeup-" + strconv.Itoa(shard) }

// Shards that a member owns, by whoever says who owns an affinity.
func Shards(owned func(affinity string) bool) []int {
	var mine []int
	for n := range persistence.WakeupShards {
		if owned(Affinity(n)) {
			mine = append(mine, n)
		}
	}
	return mine
}
