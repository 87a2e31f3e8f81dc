package process

import (
	"net"
	"sync"
	"testing"
)

// TestAddressesAreGivenOnce: to several at once, none of them twice, and none at which somebody listens.
func TestAddressesAreGivenOnce(t *testing.T) {
	first, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	turn.Add(ports - 1) // the next one is the same again, but for who listens there
	taken, err := net.ListenPacket("udp", first)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var mu sync.Mutex
	given := map[string]bool{first: true}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				at, err := FreeAddress()
				mu.Lock()
				if err != nil || given[at] {
					t.Errorf("FreeAddress() = %q, %v; it was given before: %v", at, err, given[at])
				}
				given[at] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}
