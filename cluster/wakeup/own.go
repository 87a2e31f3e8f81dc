package wakeup

import (
	"strconv"

	"paceline/persistence"
)

// Shards that a member owns, by whoever says who owns an affinity.
func Shards(owned func(affinity string) bool) []int {
	var mine []int
	for n := range persistence.WakeupShards {
		if owned("wakeup-" + strconv.Itoa(n)) {
			mine = append(mine, n)
		}
	}
	return mine
}
