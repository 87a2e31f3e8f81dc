package gossip

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails on goroutines that somebody who has left leaves behind. memberlist does not wait for a probe that is
// under way; it ends by itself within a second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}
