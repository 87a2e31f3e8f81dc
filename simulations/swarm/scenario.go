package swarm

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"paceline/domain/unit"
)

// Scenario is a load: so many runners in one race, so many viewers, for so long, and what must hold.
type Scenario struct {
	Name    string `json:"name"`
	Devices int    `json:"devices"`
	Viewers int    `json:"viewers"`
	Cut     string `json:"cut"`      // of the viewers that do not see all
	Whole   int    `json:"whole"`    // how many of the viewers of each race see all; 0: half of them
	Seconds int    `json:"seconds"`  // of running, by the node's clock
	Hz      int    `json:"hz"`       // samples a second of each device: 1 to 10
	EveryMs int    `json:"every_ms"` // least wall time between two frames of a device; 0: a frame for each sample
	RampMs  int    `json:"ramp_ms"`  // wall time over which devices and viewers come
	StormAt int    `json:"storm_at"` // second at which all devices are dropped at once; 0: never
	PerRace int    `json:"per_race"` // how many devices go into one race, more make more races at once; 0: 400
	LeadMs  int    `json:"lead_ms"`  // wall time from the enrolment of all to the gun; 0: by their number
	Seed    uint64 `json:"seed"`
	Abandon int    `json:"abandon"` // how many give up
	// ClocksOff sets two of three devices' clocks wrong by minutes: one set by NTP, one that runs free.
	ClocksOff bool `json:"clocks_off"`
	NoChecks  bool `json:"-"` // only measure
	// Laps is how many devices mark one every lapEvery, so that commands are answered all the time.
	Laps int `json:"-"`

	// Under is called once everybody has joined, and runs beside the race: what is done to the nodes. Its error ends the run.
	Under func(context.Context, Running) error `json:"-"`

	Objectives Objectives `json:"objectives"`
}

// lapEvery is by the wall.
const lapEvery = 3 * time.Second

// Objectives are what a scenario asks for beside the truth, which is always asked for. Zero means: not asked.
type Objectives struct {
	AckP99Ms      float64 `json:"ack_p99_ms"`        // from the instant a frame was due to its acknowledgement
	BoardP99Ms    float64 `json:"board_p99_ms"`      // age of a board when a viewer sees it
	MinSamplesPS  float64 `json:"min_samples_per_s"` // acknowledged, over the whole race
	MaxReconnects int     `json:"max_reconnects"`    // beyond a storm's; -1: none at all
}

// DefaultScenario is small: 20 runners and 10 viewers for a minute of node time.
func DefaultScenario() Scenario {
	return Scenario{Name: "small", Devices: 20, Viewers: 10, Cut: "top:10", Seconds: 60, Hz: 1, RampMs: 500, Seed: 1, Abandon: 1}
}

// ReadScenario reads a file, over the default.
func ReadScenario(path string) (Scenario, error) {
	s := DefaultScenario()
	b, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("swarm: scenario: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("swarm: scenario %s: %w", path, err)
	}
	return s, s.validate()
}

// Running is a race under way, for whoever does something to its nodes.
type Running struct {
	Race     string
	Gun, End unit.InstantMs
	Node     *Node
	Devices  []*Device
	Viewers  []*Viewer
}

func (s Scenario) validate() error {
	switch {
	case s.Devices < 1 || s.Devices > 100_000 || s.Viewers < 0:
		return fmt.Errorf("swarm: %d devices and %d viewers", s.Devices, s.Viewers)
	case s.Seconds < 20 || s.Seconds > 24*3600:
		return fmt.Errorf("swarm: %d seconds: want 20 to a day", s.Seconds)
	case s.Hz < 1 || s.Hz > 10:
		return fmt.Errorf("swarm: %d Hz: want 1 to 10", s.Hz)
	case s.PerRace < 0 || s.LeadMs < 0 || s.Whole < 0:
		return fmt.Errorf("swarm: %d devices in a race, the gun after %d ms, %d see all", s.PerRace, s.LeadMs, s.Whole)
	case s.Abandon < 0 || s.Abandon >= s.Devices:
		return fmt.Errorf("swarm: %d of %d give up", s.Abandon, s.Devices)
	}
	return nil
}

// cutOf is what viewer i sees; empty: all.
func (s Scenario) cutOf(i int) string {
	if s.Whole == 0 && i%2 == 1 || s.Whole > 0 && i >= s.Whole {
		return s.Cut
	}
	return ""
}

// perRace is how many devices go into one race if a scenario does not say.
const perRace = 400

// races is how many there are.
func (s Scenario) races() int {
	per := cmp.Or(s.PerRace, perRace)
	return (s.Devices + per - 1) / per
}

// lead is how long after the enrolment of all the gun is, by the wall: races are made, everybody enters and joins.
func (s Scenario) lead() time.Duration {
	return cmp.Or(time.Duration(s.LeadMs)*time.Millisecond, 5*time.Second+s.ramp(1, 1)+time.Duration(s.Devices)*5*time.Millisecond)
}

func (s Scenario) ramp(i, n int) time.Duration {
	return time.Duration(s.RampMs) * time.Millisecond * time.Duration(i) / time.Duration(max(n, 1))
}
