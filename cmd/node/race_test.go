package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// race is a short one: 400 m, each runner at a constant speed.
type race struct {
	t       *testing.T
	node    *swarm.Node
	id      string
	gun     unit.InstantMs
	devices []*swarm.Device
}

const (
	raceRate = 40 // of the node's clock
	raceMm   = 400_000
)

func (r *race) command(c *competitionv1.Command) *competitionv1.CommandDone {
	r.t.Helper()
	return must[managev1.CommandResponse](r.t)(r.node.Competitions.Command(r.t.Context(),
		connect.NewRequest(&managev1.CommandRequest{CompetitionId: r.id, Command: c}))).Done
}

// raceLead is how long before its gun a race is made, by the wall.
const raceLead = 4 * time.Second

// openRace makes the race and enters one runner for each speed.
func openRace(t *testing.T, s serving, data string, speedsMmS ...int64) *race {
	t.Helper()
	return openRaceIn(t, s, data, raceLead, speedsMmS...)
}

func openRaceIn(t *testing.T, s serving, data string, lead time.Duration, speedsMmS ...int64) *race {
	t.Helper()
	node, err := swarm.Connect(t.Context(), s.url, func(subject string) (string, error) {
		code, token, errs := paceline(t, "token", subject, "--data-dir", data)
		if code != 0 {
			return "", fmt.Errorf("token: %s", errs)
		}
		return strings.TrimSpace(token), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return openRaceAt(t, node, "", lead, speedsMmS...)
}

// openRaceAt makes it under an id; empty: a minted one.
func openRaceAt(t *testing.T, node *swarm.Node, id string, lead time.Duration, speedsMmS ...int64) *race {
	t.Helper()
	r := &race{t: t, node: node}
	r.gun = node.Now().Add(unit.DurationMs(node.Rate() * float64(lead.Milliseconds())))
	r.id = must[managev1.CreateCompetitionResponse](t)(node.Competitions.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{CompetitionId: id,
		Definition: &competitionv1.Definition{
			Name: "400 m", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track:         &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "running", DistanceMm: raceMm},
			CutoffAfterMs: 600_000, GraceMs: 30_000, AutoOfficialAfterMs: 0, ScheduledAtMs: int64(r.gun),
		},
	}))).CompetitionId
	for i, v := range speedsMmS {
		r.enter(i, v)
	}
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(r.gun)}}})
	return r
}

func (r *race) enter(i int, mmS int64) {
	r.t.Helper()
	name := fmt.Sprintf("runner-%d", i+1)
	user := must[managev1.RegisterUserResponse](r.t)(r.node.Users.RegisterUser(r.t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: name, Name: name, Visibility: userv1.Visibility_VISIBILITY_PUBLIC}}))).UserId
	device := must[managev1.RegisterDeviceResponse](r.t)(r.node.Devices.RegisterDevice(r.t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
		Device: &devicev1.Registered{Owner: user, Name: name}}))).DeviceId
	r.command(&competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{Entry: uint32(i + 1), UserId: user}}})
	d := &swarm.Device{
		Node: r.node, Name: name, User: user, Device: device, Workout: r.node.NewID(), Stream: r.node.NewID(), Sport: "run",
		Competition: r.id, Channels: map[sample.Channel]sample.Trust{sample.DistanceMm: 1, sample.HeartRateBpm: 1},
		Samples: run(r.gun, mmS), MaxBackOff: 500 * time.Millisecond,
	}
	d.Prepare(nil)
	r.devices = append(r.devices, d)
}

// run is one sample a second, from 10 s before the gun until 5 s after the finish.
func run(gun unit.InstantMs, mmS int64) *sample.Batch {
	finish := unit.DurationMs(raceMm * 1000 / mmS)
	n := int((15*unit.Second+finish)/unit.Second) + 1
	b := &sample.Batch{FirstSeq: 1}
	b.Columns[sample.DistanceMm].Grow(n)
	b.Columns[sample.HeartRateBpm].Grow(n)
	for i := range n {
		at := unit.DurationMs(i-10) * unit.Second
		b.AtMs = append(b.AtMs, gun.Add(at))
		b.Columns[sample.DistanceMm].Set(i, max(0, int64(at))*mmS/1000)
		b.Columns[sample.HeartRateBpm].Set(i, 150)
	}
	return b
}

// go runs all devices; the result waits for them.
func (r *race) start(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	errs := make([]error, len(r.devices))
	for i, d := range r.devices {
		all.Go(func() { errs[i] = d.Run(ctx) })
	}
	return func() {
		r.t.Helper()
		all.Wait()
		for i, err := range errs {
			if err != nil {
				r.t.Fatalf("%s: %v", r.devices[i].Name, err)
			}
		}
	}
}

// official waits for the official result.
func (r *race) official(within time.Duration) *competitionv1.ResultPublished {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last *competitionv1.State
	for {
		c, err := r.node.Competitions.GetCompetition(ctx, connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: r.id}))
		if err == nil {
			last = c.Msg.Competition
			if last.GetState() == livev1.RaceState_RACE_STATE_OFFICIAL {
				return last.GetResult()
			}
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("no official result: %v (%v)", last, err)
		case <-tick.C:
		}
	}
}

// TestARace: from socket to official result, with three runners.
func TestARace(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(raceRate))
	r := openRace(t, s, data, 4_600, 5_000, 4_800)
	wait := r.start(t.Context())
	wait()
	rows := r.official(60 * time.Second).GetRows()
	if len(rows) != 3 {
		t.Fatalf("%d rows, want 3", len(rows))
	}
	for i, want := range []struct {
		entry uint32
		mmS   int64
	}{{2, 5_000}, {3, 4_800}, {1, 4_600}} {
		row := rows[i]
		if row.Entry != want.entry || row.Place != uint32(i+1) || row.UnderReview {
			t.Errorf("row %d = %v, want entry %d at place %d", i, row, want.entry, i+1)
		}
		if exact := raceMm * 1_000_000 / want.mmS; row.GunUs < exact-3000 || row.GunUs > exact+3000 {
			t.Errorf("entry %d: gun time %d µs, want %d", row.Entry, row.GunUs, exact)
		}
	}

	// The bundle verifies, online and offline; one changed byte does not.
	file := filepath.Join(t.TempDir(), "bundle.zip")
	if code, _, errs := paceline(t, "export", r.id, "-o", file, "--listen", strings.TrimPrefix(s.url, "http://"), "--data-dir", data); code != 0 {
		t.Fatalf("export: %s", errs)
	}
	code, out, errs := paceline(t, "verify", file)
	if code != 0 || !strings.Contains(out, "verified: all 3 entries agree") {
		t.Fatalf("verify: %d\n%s%s", code, out, errs)
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
	offline := filepath.Join(t.TempDir(), "offline.zip")
	if code, _, errs := paceline(t, "export", r.id, "-o", offline, "--offline", "--data-dir", data); code != 0 {
		t.Fatalf("export --offline: %s", errs)
	}
	if code, out, errs := paceline(t, "verify", offline, "--json"); code != 0 || !strings.Contains(out, `"agrees": true`) {
		t.Fatalf("verify --json: %d\n%s%s", code, out, errs)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File { // what is in the files counts, not the zip's own time stamps
		begin, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		at := begin + int64(f.CompressedSize64)/2
		changed := append([]byte(nil), whole...)
		changed[at] ^= 0x40
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, _ := paceline(t, "verify", file); code == 0 {
			t.Errorf("a byte of %s is changed and the bundle verifies:\n%s", f.Name, out)
		}
	}
}

// TestARaceOutlivesItsNode: the node leaves in order in the middle of a race and comes back on the same folder and
// address; the devices come back by themselves, and the result is what it would have been.
func TestARaceOutlivesItsNode(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(raceRate))
	r := openRace(t, s, data, 4_600, 5_000)
	wait := r.start(t.Context())
	middle := time.NewTimer(r.node.Until(r.gun.Add(40 * unit.Second)))
	<-middle.C
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
	s = serve(t, "--data-dir", data, "--listen", strings.TrimPrefix(s.url, "http://"))
	wait()
	rows := r.official(60 * time.Second).GetRows()
	if len(rows) != 2 || rows[0].Entry != 2 || rows[1].Entry != 1 {
		t.Fatalf("rows = %v, want entries 2 and 1", rows)
	}
	for _, row := range rows {
		exact := raceMm * 1_000_000 / map[uint32]int64{1: 4_600, 2: 5_000}[row.Entry]
		if row.GunUs < exact-3000 || row.GunUs > exact+3000 {
			t.Errorf("entry %d: gun time %d µs, want %d", row.Entry, row.GunUs, exact)
		}
	}
	for _, d := range r.devices {
		if d.Connects() < 2 {
			t.Errorf("%s connected %d times: the test shows nothing", d.Name, d.Connects())
		}
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
}
