package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/simulations/swarm"
)

// outageRate is how fast the node's clock runs: slow enough that an outage lies within the race.
const outageRate = 5

// longOutage makes outages longer than any grain is patient; make test-all sets it.
const longOutage = "PACELINE_LONG_OUTAGE"

// outage is how long the store is away, by the wall.
func outage(t *testing.T) time.Duration {
	text := os.Getenv(longOutage)
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// trouble is a race whose store is in bad weather for a while.
type trouble struct {
	*race
	s      serving
	viewer *swarm.Viewer
	rate   int            // of the node's clock
	began  unit.InstantMs // of the weather, by the node's clock
	ends   time.Time      // of the weather, at the earliest
	lasts  time.Duration
	lag    time.Duration // after which all may be acknowledged that was under way when the weather began
	watch  []func()      // called again and again during the weather
	new    newcomers
	// unreadable: nothing can be read meanwhile.
	unreadable bool
	level      func() // called once what is live has been made up for; nil: nothing
}

// newTrouble is a race of so many runners on a node that serves, and one who watches it.
func newTrouble(t *testing.T, s serving, data string, rate int, lead time.Duration, speedsMmS ...int64) *trouble {
	x := &trouble{s: s, rate: rate, lasts: outage(t), lag: time.Second, race: openRaceIn(t, s, data, lead, speedsMmS...)}
	x.viewer = &swarm.Viewer{Node: x.node, Topic: "competition/" + x.id + "/board"}
	x.otherRace()
	return x
}

// underWay starts everything and waits until the race is in its first lap.
func (x *trouble) underWay() (wait func()) {
	wait = x.start(x.t.Context())
	go func() { _ = x.viewer.Run(x.t.Context()) }()
	x.until("the race is under way", 60*time.Second, func() string {
		if x.node.Now() < x.gun.Add(20*unit.Second) || x.acked() == 0 || len(x.viewer.Now().Rows) == 0 {
			return "not yet"
		}
		return ""
	})
	return wait
}

// begins notes that the weather is bad from now on.
func (x *trouble) begins() {
	x.began, x.ends = x.node.Now(), time.Now().Add(x.lasts)
}

// TestTheStoreIsAwayForAWhile: a race on a node whose store is slow, or refuses, or answers nothing. Meanwhile nothing is
// acknowledged that is not stored, clients are told to wait, the board shows the last durable state and since when, and
// the node says so. Afterwards everything is made up for, and the result is that of what was sent, as if nothing had been.
func TestTheStoreIsAwayForAWhile(t *testing.T) {
	for name, weather := range map[string]faulty.Weather{
		"slow":            {Delay: 2500 * time.Millisecond},
		"refuses":         {Away: true},
		"answers nothing": {Hangs: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rows *faulty.Rows
			data := filepath.Join(t.TempDir(), "data")
			s := serveOver(t, func(r persistence.Rows) persistence.Rows {
				rows = faulty.Over(r)
				return rows
			}, "--data-dir", data, "--clock-rate", fmt.Sprint(outageRate))
			x := newTrouble(t, s, data, outageRate, raceLead, 4_000, 4_100, 4_200, 4_300, 4_400, 4_500, 4_600, 4_700)
			wait := x.underWay()
			x.unreadable = weather.Delay == 0
			x.begins()
			rows.Set(weather)
			x.during(weather.Delay == 0)
			rows.Set(faulty.Weather{})
			x.after()
			wait()
			x.verified()
		})
	}
}

// until waits for a condition: why is empty once it holds.
func (x *trouble) until(what string, within time.Duration, why func() string) {
	x.t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		said := why()
		if said == "" {
			return
		}
		select {
		case <-deadline:
			x.t.Fatalf("%s: not within %v: %s", what, within, said)
		case <-tick.C:
		}
	}
}

func (x *trouble) acked() (n uint64) {
	for _, d := range x.devices {
		n += d.Acked()
	}
	return n
}

// weatherWithin is how much longer the weather may last than it is meant to, on a machine that does other things too.
const weatherWithin = 30 * time.Second

// during looks at everything that must hold while the store is away. silent: nothing at all is stored.
func (x *trouble) during(silent bool) {
	x.t.Helper()
	var frozen uint64
	var changed time.Time
	x.until("all clients are told to wait, the board and the node say so", time.Until(x.ends)+weatherWithin, func() string {
		if n := x.acked(); n != frozen {
			frozen, changed = n, time.Now()
		}
		for _, d := range x.devices {
			if d.Held() == 0 {
				return d.Name + " was not told to wait"
			}
		}
		b := x.viewer.Now()
		if since := unit.InstantMs(b.Head.GetStaleSinceMs()); since < x.began.Add(-3*unit.DurationMs(x.rate)*unit.Second) || since > x.node.Now() {
			return fmt.Sprintf("the board is stale since %d, the store since %d", since, x.began)
		}
		for _, path := range []string{"/readyz"} {
			r, err := http.Get(x.s.url + path)
			if err != nil {
				return err.Error()
			}
			_ = r.Body.Close()
			if r.StatusCode != http.StatusServiceUnavailable {
				return path + ": " + r.Status
			}
		}
		if m := get(x.t, x.s.url+"/metrics"); strings.Contains(m, "paceline_store_behind_seconds 0\n") {
			return "the metrics know nothing of it"
		}
		if !strings.Contains(x.s.out.String(), "the store does not keep up") {
			return "the log says nothing"
		}
		return ""
	})
	if moved := changed.Sub(x.ends.Add(-x.lasts)); silent && moved > x.lag {
		x.t.Errorf("samples were acknowledged %v after the store was gone", moved)
	}
	x.come(silent)
	x.until("the rest of the time", time.Until(x.ends)+time.Minute, func() string {
		for _, f := range x.watch {
			f()
		}
		if n := x.acked(); n != frozen && silent {
			x.t.Fatalf("%d samples were acknowledged by a store that is away", n-frozen)
		}
		for _, row := range x.viewer.Now().Rows {
			if !silent {
				break // what is shown may be ahead of what the device has heard
			}
			d := x.devices[row.Entry-1]
			if durable := distanceAt(d.Samples, d.Acked()); row.ProgressMm > durable {
				x.t.Fatalf("entry %d is shown at %d mm, durable are %d mm (through seq %d)", row.Entry, row.ProgressMm, durable, d.Acked())
			}
		}
		if time.Now().Before(x.ends) {
			return "not over"
		}
		return ""
	})
}

// distanceAt is where a runner is at a seq, since the gun.
func distanceAt(b *sample.Batch, seq uint64) int64 {
	if seq == 0 {
		return 0
	}
	v, _ := b.Value(sample.DistanceMm, int(seq-1))
	return v
}

// after waits until everything is made up for.
func (x *trouble) after() {
	x.t.Helper()
	back := time.Now()
	x.until("what was kept is stored", 30*time.Second, func() string {
		now := x.node.Now()
		for _, d := range x.devices {
			b, acked := d.Samples, int(d.Acked())
			if acked < b.Len() && b.AtMs[acked] < now.Add(-2*unit.DurationMs(x.rate)*unit.Second) {
				return fmt.Sprintf("%s is acknowledged through %d of %d", d.Name, acked, b.Len())
			}
		}
		return ""
	})
	caughtUp := time.Since(back)
	if x.level != nil {
		x.level()
	}
	x.until("the board goes on", 30*time.Second, func() string {
		if since := x.viewer.Now().Head.GetStaleSinceMs(); since != 0 {
			return fmt.Sprintf("stale since %d", since)
		}
		return ""
	})
	x.until("the node is ready", 30*time.Second, func() string {
		r, err := http.Get(x.s.url + "/readyz")
		if err != nil {
			return err.Error()
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return r.Status
		}
		return ""
	})
	x.arrive()
	x.t.Logf("all samples were made up for %v after the store was back, the board and the node after %v", caughtUp.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
}

// verified compares the result with what was sent, sample by sample and gate by gate, and lets the bundle be recomputed.
func (x *trouble) verified() {
	x.t.Helper()
	result := x.official(90 * time.Second)
	c, err := course.New(course.Track{Name: "400 m", Format: course.Distance, Sport: geo.Run, DistanceMm: raceMm})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, check := range []swarm.Check{
		swarm.CheckStored(x.devices, result), swarm.CheckGates(x.devices, c, x.gun, result), swarm.CheckOrder(x.devices, c, x.gun, false, result),
		swarm.CheckViewers([]*swarm.Viewer{x.viewer}),
	} {
		x.t.Logf("%s: %s", check.Name, check.Detail)
		if !check.OK {
			x.t.Errorf("%s: %s", check.Name, check.Detail)
		}
	}
	file := filepath.Join(x.t.TempDir(), "bundle.zip")
	stream, err := x.node.Competitions.ExportBundle(x.t.Context(), connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: x.id}))
	if err != nil {
		x.t.Fatal(err)
	}
	var zip []byte
	for stream.Receive() {
		zip = append(zip, stream.Msg().GetChunk()...)
	}
	if err := stream.Err(); err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(file, zip, 0o600); err != nil {
		x.t.Fatal(err)
	}
	if code, out, errs := paceline(x.t, "verify", file); code != 0 || !strings.Contains(out, fmt.Sprintf("all %d entries agree", len(x.devices))) {
		x.t.Errorf("verify: %d\n%s%s", code, out, errs)
	}
}
