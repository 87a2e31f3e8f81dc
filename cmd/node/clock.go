package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"paceline/domain/step"
	"paceline/domain/unit"
)

// clock is the node's injected clock: now = Origin + Rate·(wall − Anchor). Event time, Meta.At, rules, race timers,
// sample-rate limits and the clock exchange run on it; everything else on the wall clock. It is stored in the data
// folder at the first start and read from it afterwards, so that a restart continues the same time.
type clock struct {
	Origin unit.InstantMs `json:"origin_ms"`
	Anchor unit.InstantMs `json:"anchor_ms"`
	Rate   float64        `json:"rate"`
}

// wallClock runs with the machine's.
func wallClock(wall unit.InstantMs) clock { return clock{Origin: wall, Anchor: wall, Rate: 1} }

func (c clock) check() error {
	// A rate of 0 would stop all races, and one above 1000 makes a heartbeat last minutes of a race.
	if !(c.Rate >= 0.001 && c.Rate <= 1000) {
		return fmt.Errorf("clock rate %v: want 0.001 to 1000", c.Rate)
	}
	return nil
}

// node is the node's time at a wall instant.
func (c clock) node(wall unit.InstantMs) unit.InstantMs {
	return c.Origin.Add(unit.DurationMs(c.Rate * float64(wall-c.Anchor)))
}

// wallOf is the wall instant at which the node's clock shows at: never too early.
func (c clock) wallOf(at unit.InstantMs) unit.InstantMs {
	wall := c.Anchor.Add(unit.DurationMs(float64(at-c.Origin) / c.Rate))
	for c.node(wall) < at {
		wall++
	}
	return wall
}

// rising is the machine's clock as long as that goes forward. Should it be set back, time goes on as it passes: whoever
// waits for an instant must not wait for as long again as the clock was wrong. Forward it is followed, for a machine may
// have slept.
type rising struct {
	read func() (wall unit.InstantMs, passed time.Duration) // passed rises evenly, whatever is done to the clock

	mu    sync.Mutex
	wall  unit.InstantMs // when passed was at
	at    time.Duration
	begun bool
}

func (r *rising) now() unit.InstantMs {
	wall, passed := r.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	if due := r.wall.Add(unit.DurationMs((passed - r.at).Milliseconds())); r.begun && wall < due {
		return due
	}
	r.wall, r.at, r.begun = wall, passed, true
	return wall
}

var machineClock = func() *rising {
	start := time.Now()
	return &rising{read: func() (unit.InstantMs, time.Duration) {
		t := time.Now()
		return unit.InstantMs(t.UnixMilli()), t.Sub(start)
	}}
}()

func wallNow() unit.InstantMs { return machineClock.now() }

// now is what both clocks say.
func (c clock) now() step.Now {
	wall := wallNow()
	return step.Now{Wall: wall, Node: c.node(wall), WallOfNode: c.wallOf}
}

// folder keeps small values beside the tables. PutMeta may answer errThere: then another process was faster.
type folder interface {
	GetMeta(name string) ([]byte, bool, error)
	PutMeta(name string, value []byte) error
}

const clockName = "clock"

// clockWish is what the configuration asks for; nil: nothing.
type clockWish struct {
	Origin *unit.InstantMs
	Rate   *float64
}

// openClock reads the folder's clock, or makes it at the first start. A wish that contradicts a clock that runs
// already is refused: it would move races that are under way.
func openClock(f folder, wish clockWish, wall unit.InstantMs) (clock, error) {
	stored, ok, err := f.GetMeta(clockName)
	if err != nil {
		return clock{}, fmt.Errorf("read the node's clock: %w", err)
	}
	if !ok {
		c := wish.fresh(wall)
		if err := c.check(); err != nil {
			return clock{}, err
		}
		b, err := json.Marshal(c)
		if err != nil {
			return clock{}, fmt.Errorf("store the node's clock: %w", err)
		}
		err = f.PutMeta(clockName, b)
		if errors.Is(err, errThere) { // another node was first, and its clock holds
			return openClock(f, wish, wall)
		}
		if err != nil {
			return clock{}, fmt.Errorf("store the node's clock: %w", err)
		}
		return c, nil
	}
	var c clock
	if err := json.Unmarshal(stored, &c); err != nil {
		return clock{}, fmt.Errorf("the node's clock in the data folder cannot be read: %w", err)
	}
	if err := c.check(); err != nil {
		return clock{}, fmt.Errorf("the node's clock in the data folder: %w", err)
	}
	if wish.Origin != nil && *wish.Origin != c.Origin || wish.Rate != nil && *wish.Rate != c.Rate {
		return clock{}, errors.New("this data folder has had its own clock since its first start; --clock-origin and --clock-rate cannot change it")
	}
	return c, nil
}

func (w clockWish) fresh(wall unit.InstantMs) clock {
	c := wallClock(wall)
	if w.Origin != nil {
		c.Origin = *w.Origin
	}
	if w.Rate != nil {
		c.Rate = *w.Rate
	}
	return c
}
