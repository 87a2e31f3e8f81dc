package cluster

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails on goroutines that a stopped member leaves behind. The runtime never ends one of its own: a log
// throttle of its gossip.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(
		"github.com/asynkron/protoactor-go/cluster.(*Gossiper).StartGossiping.NewThrottle.func3.1"))
}
