package cluster

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails on goroutines that a stopped member leaves behind. The runtime never ends two of its own: the log
// throttles of its gossip and of its dead letters. memberlist does not wait for a probe that is under way; it ends by
// itself within a second.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/asynkron/protoactor-go/cluster.(*Gossiper).StartGossiping.NewThrottle.func3.1"), goleak.IgnoreAnyFunction(
		"github.com/asynkron/protoactor-go/actor.NewDeadLetter.NewThrottle.func4.1"), goleak.IgnoreAnyFunction(
		"github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}
