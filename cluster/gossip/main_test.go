package gossip

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails on goroutines that somebody who has left leaves behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
