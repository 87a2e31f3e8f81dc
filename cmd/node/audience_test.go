package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
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
	liveclient "paceline/api/live"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// mapRate is of the node's clock: the race lasts ten seconds of ours, and a map moves once a second.
const mapRate = 10

// entrantsDelay is how late the entrants of the test's race see each other, on the node's clock.
const entrantsDelay = 5 * unit.Second

// mapRace is a race of runners who say where they are; each wants to be seen by others.
func mapRace(t *testing.T, node *swarm.Node, seen ...userv1.Visibility) *race {
	t.Helper()
	r := &race{t: t, node: node, gun: node.Now().Add(4 * unit.Second * mapRate)}
	r.id = must[managev1.CreateCompetitionResponse](t)(node.Competitions.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{
			Name: "400 m", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track:         &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "run", DistanceMm: raceMm},
			CutoffAfterMs: 600_000, GraceMs: 30_000, ScheduledAtMs: int64(r.gun),
			Audiences: &competitionv1.Audiences{Entrant: &competitionv1.Audience{DelayMs: int64(entrantsDelay)}},
		},
	}))).CompetitionId
	for i, v := range seen {
		name := fmt.Sprintf("runner-%d", i+1)
		user := register(t, node, name, v)
		device := must[managev1.RegisterDeviceResponse](t)(node.Devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
			Device: &devicev1.Registered{Owner: user, Name: name}}))).DeviceId
		r.command(&competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{Entry: uint32(i + 1), UserId: user}}})
		samples := run(r.gun, 4_000)
		samples.Columns[sample.LatE7].Grow(samples.Len())
		samples.Columns[sample.LonE7].Grow(samples.Len())
		for k := range samples.Len() {
			samples.Columns[sample.LatE7].Set(k, 535_000_000+int64(k)*360)
			samples.Columns[sample.LonE7].Set(k, 100_000_000+int64(i)*1000)
		}
		d := &swarm.Device{
			Node: node, Name: name, User: user, Device: device, Workout: node.NewID(), Stream: node.NewID(), Sport: "run", Competition: r.id,
			Channels: map[sample.Channel]sample.Trust{sample.DistanceMm: 1, sample.HeartRateBpm: 1, sample.LatE7: 1, sample.LonE7: 1},
			Samples:  samples, MaxBackOff: 500 * time.Millisecond,
		}
		d.Prepare(nil)
		r.devices = append(r.devices, d)
	}
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(r.gun)}}})
	return r
}

func register(t *testing.T, node *swarm.Node, name string, v userv1.Visibility) string {
	t.Helper()
	return must[managev1.RegisterUserResponse](t)(node.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: name, Name: name, Visibility: v}}))).UserId
}

// onlooker is a connection over a real socket, and what it was shown.
type onlooker struct {
	*liveclient.Client
	node *swarm.Node

	mu      sync.Mutex
	seen    map[uint32]int // entries shown on the ground, and how often
	late    unit.DurationMs
	rows    int
	refused []string
	events  []*livev1.Event
	history []*livev1.Event
}

func look(t *testing.T, node *swarm.Node, subject string, json bool) *onlooker {
	t.Helper()
	o := &onlooker{node: node, seen: map[uint32]int{}, late: unit.Day}
	cfg := liveclient.Config{URL: node.Live(), Name: "test", JSON: json, Clock: node.Now}
	if subject != "" {
		cfg.Token = func(context.Context) (string, error) { return node.Token(subject) }
	}
	o.Client = liveclient.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = o.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := o.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// watch subscribes; what is refused is asked again, as somebody does who waits for the start.
func (o *onlooker) watch(topic, cut string) {
	var subscribe func()
	subscribe = func() {
		var once sync.Once
		var t *liveclient.Topic
		t = o.Subscribe(topic, cut, o.show, func(err error) {
			once.Do(func() {
				o.mu.Lock()
				o.refused = append(o.refused, err.Error())
				o.mu.Unlock()
				time.AfterFunc(300*time.Millisecond, func() { t.Close(); subscribe() })
			})
		})
	}
	subscribe()
}

func (o *onlooker) show(u liveclient.Update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u.Event != nil {
		o.events = append(o.events, u.Event)
	}
	o.history = append(o.history, u.Snapshot.GetInbox().GetItems()...)
	for _, row := range append(u.Snapshot.GetPositions().GetRows(), u.Delta.GetPositions().GetRows()...) {
		o.rows++
		if row.LatE7 != 0 || row.LonE7 != 0 {
			o.seen[row.Entry]++
			o.late = min(o.late, o.node.Now().Sub(unit.InstantMs(row.AtMs)))
		}
	}
}

func (o *onlooker) shown() []uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []uint32
	for e := range o.seen {
		all = append(all, e)
	}
	slices.Sort(all)
	return all
}

func (o *onlooker) told() (refused string, rows int, late unit.DurationMs) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.refused, "\n"), o.rows, o.late
}

func (o *onlooker) String() string {
	refused, rows, late := o.told()
	return fmt.Sprintf("%d rows, on the ground %v, %d ms late; refused: %s", rows, o.shown(), late, refused)
}

func eventually(t *testing.T, what string, done func() bool, about ...fmt.Stringer) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s: %v", what, about)
		}
		<-tick.C
	}
}

// TestAudiencesAndReactions: over real sockets, in both encodings, each audience is shown what it may see, and a
// reaction reaches whom it is for.
func TestAudiencesAndReactions(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(mapRate))
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
	spectator := "athlete:" + register(t, node, "spectator", userv1.Visibility_VISIBILITY_PUBLIC)
	r := mapRace(t, node, userv1.Visibility_VISIBILITY_PUBLIC, userv1.Visibility_VISIBILITY_ENTRANTS, userv1.Visibility_VISIBILITY_PRIVATE)
	positions, first := "competition/"+r.id+"/positions", "athlete:"+r.devices[0].User
	var public, among, staff [2]*onlooker
	for i, json := range []bool{false, true} {
		public[i], among[i], staff[i] = look(t, node, "", json), look(t, node, first, json), look(t, node, "operator:ops", json)
		public[i].watch(positions, "")
		among[i].watch(positions, "audience:entrant")
		among[i].watch("inbox", "")
		staff[i].watch(positions, "audience:official")
	}
	stranger, nobody := look(t, node, spectator, false), look(t, node, "", true)
	stranger.watch(positions, "audience:entrant")
	nobody.watch(positions, "audience:official")
	wait := r.start(t.Context())
	for i := range public {
		eventually(t, fmt.Sprintf("entrants see runners 1 and 2, officials all three (connection %d)", i), func() bool {
			return slices.Equal(among[i].shown(), []uint32{1, 2}) && slices.Equal(staff[i].shown(), []uint32{1, 2, 3})
		}, public[i], among[i], staff[i])
	}
	r.cheers(spectator, among, stranger)
	wait()
	r.official(60 * time.Second)
	for i := range public {
		if _, rows, _ := public[i].told(); rows == 0 || len(public[i].shown()) != 0 {
			t.Errorf("the public is shown %d rows, and %v on the ground", rows, public[i].shown())
		}
		if got := among[i].shown(); !slices.Equal(got, []uint32{1, 2}) {
			t.Errorf("entrants were shown %v on the ground, want 1 and 2", got)
		}
		if _, _, late := among[i].told(); late < entrantsDelay {
			t.Errorf("entrants were shown somebody %d ms late, want at least %d", late, entrantsDelay)
		}
	}
	for o, code := range map[*onlooker]string{stranger: "auth.denied", nobody: "auth.token_needed"} {
		if refused, rows, _ := o.told(); !strings.Contains(refused, code) || rows != 0 {
			t.Errorf("%s wanted: told %q and shown %d rows", code, refused, rows)
		}
	}
	r.rereads(first, among[0])
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
}

func (r *race) react(o *onlooker, command string, entry uint32, reaction string) *livev1.CommandResult {
	r.t.Helper()
	result, err := o.Do(r.t.Context(), &livev1.Command{CommandId: command, Command: &livev1.Command_React{
		React: &livev1.React{CompetitionId: r.id, Entry: entry, Reaction: reaction}}})
	if result == nil {
		r.t.Fatalf("react: %v", err)
	}
	return result
}

// cheers: the first runner is cheered by a spectator, who may not reach those who do not want to be seen.
func (r *race) cheers(subject string, runner [2]*onlooker, spectator *onlooker) {
	t := r.t
	t.Helper()
	command := r.node.NewID()
	done := r.react(spectator, command, 1, "bell")
	if done.Error != nil || done.Version == 0 || done.Stream != "user/"+r.devices[0].User {
		t.Fatalf("react = %v", done)
	}
	if again := r.react(look(t, r.node, subject, true), command, 1, "bell"); again.Error != nil || again.Version != done.Version {
		t.Errorf("the same command again = %v, want version %d", again, done.Version)
	}
	for name, c := range map[string]struct {
		from     *onlooker
		entry    uint32
		reaction string
		want     string
	}{
		"what is no reaction":           {runner[0], 2, "boo", "reaction.unknown"},
		"for no entry":                  {runner[0], 0, "bell", "reaction.entry"},
		"for an entry that is none":     {runner[0], 99, "bell", "competition.no_entry"},
		"for oneself":                   {runner[0], 1, "bell", "auth.denied"},
		"for one seen by entrants only": {spectator, 2, "bell", "auth.denied"},
		"for one seen by nobody":        {runner[0], 3, "bell", "auth.denied"},
		"by an entrant, seen by these":  {runner[1], 2, "wave", ""},
		"without a token":               {look(t, r.node, "", true), 1, "bell", "auth.token_needed"},
	} {
		if got := r.react(c.from, r.node.NewID(), c.entry, c.reaction); got.GetError().GetCode() != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
	for i := range runner {
		eventually(t, "the runner is told", func() bool {
			runner[i].mu.Lock()
			defer runner[i].mu.Unlock()
			return len(runner[i].events)+len(runner[i].history) > 0
		})
		runner[i].mu.Lock()
		all := append(slices.Clone(runner[i].history), runner[i].events...)
		live := len(runner[i].events)
		runner[i].mu.Unlock()
		if e := all[0]; len(all) != 1 || live != 1 || e.Kind != "reaction" || e.Text != "bell" || e.Version != done.Version || e.CompetitionId != r.id || e.Entry != 1 || e.AtMs == 0 {
			t.Errorf("connection %d: %v, %d of them as events", i, all, live)
		}
	}
}

// rereads: whoever comes later finds all entries of the inbox, and none that was seen before.
func (r *race) rereads(subject string, before *onlooker) {
	t := r.t
	t.Helper()
	o := look(t, r.node, subject, true)
	o.watch("inbox", "")
	eventually(t, "the inbox is found again", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.history) > 0
	})
	if o.history[0].Version != before.events[0].Version || o.history[0].Text != "bell" {
		t.Errorf("the inbox begins with %v, want %v", o.history[0], before.events[0])
	}
	if id.Check(o.history[0].CompetitionId) != nil {
		t.Errorf("entry %v", o.history[0])
	}
}
