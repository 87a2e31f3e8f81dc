package main

import (
	"context"
	"fmt"
	"time"

	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// healthEvery is how often the log hears how the store is.
const healthEvery = 500 * time.Millisecond

// Why a node would rather have its clients elsewhere.
var (
	errFull   = fault.Later("store.full", "The disk of this node's store is nearly full: nothing is stored until there is room.")
	errBehind = fault.Later("store.slow", "This node's store does not keep up: clients keep their data and boards stand still.")
)

// now is what both clocks say, and how the store is.
func (n *node) now() step.Now {
	now := n.clock.now()
	if since := n.behind(); since != 0 {
		now.StaleSince = n.clock.node(since)
	}
	since, _ := n.store.full()
	now.Full = since != 0
	return now
}

// behind is since when, by the wall clock, what comes cannot be stored; 0: it can.
func (n *node) behind() unit.InstantMs {
	since := n.lanes.Behind()
	if full, _ := n.store.full(); full != 0 && (since == 0 || unit.InstantMs(full) < since) {
		since = unit.InstantMs(full)
	}
	return since
}

// storeReady is nil if clients may be sent here, as far as the store is concerned.
func (n *node) storeReady() error {
	if full, _ := n.store.full(); full != 0 {
		return errFull
	}
	if since := n.lanes.Behind(); since != 0 {
		return errBehind.With("since %s", since.Time().Format(time.RFC3339))
	}
	return nil
}

// watchStore tells the log when the store falls behind, and when it has caught up.
func (n *node) watchStore(context.Context) error {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(healthEvery)
		defer tick.Stop()
		var was unit.InstantMs
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			is := n.behind()
			all, old := n.lanes.Queued()
			switch {
			case is != 0 && was == 0:
				n.log.Warn("the store does not keep up: acknowledgements wait, clients are throttled, boards stand still", "since", is.Time().Format(time.RFC3339), "waiting", all, "waiting_old", old)
			case is == 0 && was != 0:
				n.log.Info("the store keeps up again", "after", fmt.Sprint(time.Duration(wallNow().Sub(was))*time.Millisecond))
			}
			was = is
		}
	}()
	n.later(func(context.Context) error {
		close(stop)
		<-ended
		return nil
	})
	return nil
}

// countStore names what an operator can watch of it.
func (n *node) countStore() {
	c := n.counters
	c.Gauge("paceline_store_behind_seconds", "How long the store has not kept up; 0: it does.", func() float64 {
		since := n.behind()
		if since == 0 {
			return 0
		}
		return float64(wallNow().Sub(since)) / 1000
	})
	c.Gauge("paceline_store_full", "1 while the store takes no writes because its disk is nearly full.", func() float64 {
		if since, _ := n.store.full(); since != 0 {
			return 1
		}
		return 0
	})
	c.Gauge("paceline_store_disk_free_bytes", "Free bytes of the embedded store's disk; 0: another store.", func() float64 {
		_, free := n.store.full()
		return float64(free)
	})
	c.Gauge("paceline_store_waiting", "Store operations that wait for a worker.", func() float64 {
		all, _ := n.lanes.Queued()
		return float64(all)
	})
	c.Gauge("paceline_store_waiting_old", "Of those, the ones about old data.", func() float64 {
		_, old := n.lanes.Queued()
		return float64(old)
	})
	c.Gauge("paceline_ws_under_bytes", "Bytes of telemetry frames on their way to what is durable.", func() float64 {
		bytes, _ := n.edge.live.Under()
		return float64(bytes)
	})
	c.Counter("paceline_ws_no_room_total", "Telemetry frames dropped because too many bytes of them were under way.", func() int64 {
		_, refused := n.edge.live.Under()
		return refused
	})
}
