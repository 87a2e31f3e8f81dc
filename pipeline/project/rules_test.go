package project_test

import (
	"testing"

	"paceline/domain/step"
	"paceline/internal/testkit"
)

// TestHoleReadsTheJournal: what was published to somebody who did not live to see it taken takes effect all the same.
func TestHoleReadsTheJournal(t *testing.T) {
	testkit.NeedsRule(t, step.RulePublishHole, func(t testing.TB) {
		b := newBench()
		b.publish(t, b.write(t, 2), 2)
		b.write(t, 300) // published to nobody
		b.publish(t, b.write(t, 2), 304)
		b.once(t, 304)
	})
}
