package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/chromedp/chromedp"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/api/track"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
	swarmcourses "paceline/simulations/swarm/courses"
	"paceline/web"
)

// rider is somebody on the island's course, at one speed all the way.
type rider struct {
	name, club, flag string
	mmS              int64
	offline          [2]int64 // seconds after the gun without network
	jumps            bool     // the receiver is once 300 m off
}

var riders = []rider{
	{"Maximiliane von Hohenfels-Oberndorff", "Rad- und Laufgemeinschaft Nordhafen von 1898", "DE", 14_200, [2]int64{}, false},
	{"Ari Low", "", "FI", 15_000, [2]int64{}, false},
	{"Bea Marsh", "Cove Wheelers", "GB", 13_900, [2]int64{}, true},
	{"Chidi Okoro", "Harbour CC", "NG", 9_000, [2]int64{40, 780}, false},
	{"Dana Voss", "", "", 7_500, [2]int64{}, false}, // gives up
	{"Eli Quist", "Ridge Runners", "SE", 0, [2]int64{}, false},
}

const (
	pageRate  = 40
	wholeLine = "[...document.querySelectorAll('.board tbody tr')]"
)

// island is the course that the project carries.
func island(t *testing.T) *course.Course {
	t.Helper()
	file, err := swarmcourses.Read("velmar")
	if err != nil {
		t.Fatal(err)
	}
	line := file.Line()
	length := geo.LineMm(line)
	var gates []geo.Gate
	for _, g := range []struct {
		id    string
		kind  geo.GateKind
		share int64 // percent of the line
	}{{"start", geo.StartGate, 1}, {"ridge", geo.ClimbGate, 24}, {"cove", geo.SprintGate, 50}, {"mole", geo.SplitGate, 80}, {"finish", geo.FinishGate, 98}} {
		placed, ok := geo.Gate{ID: g.id, Kind: g.kind, Mandatory: true}.Across(line, length*unit.DistanceMm(g.share)/100, 60_000)
		if !ok {
			t.Fatalf("no gate %s", g.id)
		}
		gates = append(gates, placed)
	}
	c, err := course.New(course.Track{Format: course.Line, Sport: geo.Ride, Name: "Velmar coast and ridge", Line: line, Gates: gates, CorridorMm: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rides is one sample a second, from 10 s before the gun to the end of the course.
func (r rider) rides(c *course.Course, gun unit.InstantMs) *sample.Batch {
	full := geo.LineMm(c.Track().Line)
	b := &sample.Batch{FirstSeq: 1}
	n := 20 + int(int64(full)/max(r.mmS, 1))
	b.Columns[sample.LatE7].Grow(n)
	b.Columns[sample.LonE7].Grow(n)
	for i := range n {
		s := int64(i - 10)
		p := c.Geo().PointAt(unit.DistanceMm(max(0, min(s*r.mmS, int64(full)))))
		if r.jumps && s == 200 {
			p.Lat += 27_000 // 300 m
		}
		b.AtMs = append(b.AtMs, gun.Add(unit.DurationMs(s)*unit.Second))
		b.Columns[sample.LatE7].Set(i, p.Lat)
		b.Columns[sample.LonE7].Set(i, p.Lon)
	}
	return b
}

// openRide makes the race and the riders' devices; the gun is still to be announced.
func openRide(t *testing.T, n *swarm.Node, c *course.Course) *race {
	t.Helper()
	r := &race{t: t, node: n, gun: n.Now().Add(12 * unit.Second * pageRate)}
	r.id = must[managev1.CreateCompetitionResponse](t)(n.Competitions.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{
			Name: "Velmar Autumn Classic", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track: track.ToProto(c.Track()), CutoffAfterMs: 3_600_000, GraceMs: 30_000, AutoOfficialAfterMs: -1, ScheduledAtMs: int64(r.gun),
		},
	}))).CompetitionId
	for i, p := range riders {
		user := must[managev1.RegisterUserResponse](t)(n.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			Profile: &userv1.Profile{Handle: fmt.Sprintf("rider-%d", i+1), Name: p.name, Club: p.club, Flag: p.flag, Visibility: userv1.Visibility_VISIBILITY_PUBLIC}}))).UserId
		r.command(&competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{Entry: uint32(i + 1), UserId: user}}})
		if p.mmS == 0 {
			continue
		}
		device := must[managev1.RegisterDeviceResponse](t)(n.Devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
			Device: &devicev1.Registered{Owner: user, Name: p.name}}))).DeviceId
		d := &swarm.Device{
			Node: n, Name: p.name, User: user, Device: device, Workout: n.NewID(), Stream: n.NewID(), Sport: string(geo.Ride), Competition: r.id,
			Channels: map[sample.Channel]sample.Trust{sample.LatE7: 1, sample.LonE7: 1}, Samples: p.rides(c, r.gun), MaxBackOff: 300 * time.Millisecond,
		}
		if p.offline[1] > 0 {
			d.Offline = []swarm.Span{{From: int(p.offline[0]) + 10, To: int(p.offline[1]) + 10}}
		}
		d.Prepare(nil)
		r.devices = append(r.devices, d)
	}
	return r
}

func (r *race) withdraw(entry uint32, reason string) {
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Withdraw{Withdraw: &competitionv1.EntryWithdrawn{Entry: entry, Reason: reason}}})
}

// built is the page's files and axe, or the sentence that says how to get them.
func built(t *testing.T) (axe string) {
	t.Helper()
	if _, err := fs.Stat(web.Files(), "app.js"); err != nil {
		t.Fatal("the page is not built: run scripts/web.sh build (make test does it first)")
	}
	b, err := os.ReadFile(filepath.Join("..", "..", "web", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("axe-core is not installed: run scripts/web.sh build (make test does it first)")
	}
	return string(b)
}

func order(bibs ...int) string {
	b, _ := json.Marshal(bibs)
	return fmt.Sprintf("JSON.stringify(%s.map((r) => +r.querySelector('.bibtag').textContent)) === '%s'", wholeLine, b)
}

func says(selector, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))", selector, text)
}

// row is the text of an entry's row on the board.
func row(bib int) string {
	return fmt.Sprintf("(%s.find((r) => +r.querySelector('.bibtag').textContent === %d)?.innerText ?? '')", wholeLine, bib)
}

const dots = "[...document.querySelectorAll('.course .dot')].map((d) => new DOMMatrix(getComputedStyle(d).transform)).map((m) => [m.e, m.f])"

// offTheRoad is how far the dots are from the road at most, in units of the drawing.
const offTheRoad = `(() => {
	const road = document.querySelector('.course .road'), length = road.getTotalLength();
	const along = [...Array(600)].map((_, i) => road.getPointAtLength(length * i / 599));
	return Math.max(...` + dots + `.map(([x, y]) => Math.min(...along.map((p) => Math.hypot(p.x - x, p.y - y)))));
})()`

// TestThePage: a race looked at in a real browser, from before the gun to the official result, on a desk and on a
// phone. The screenshots lie in bin/test.
func TestThePage(t *testing.T) {
	axe := built(t)
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(pageRate))
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
	browser := browse(t)
	v := &visit{t: t, axe: axe, wire: newProxy(t, strings.TrimPrefix(s.url, "http://"))}
	v.desk = newTab(browser, t, "desk", 1440, 1000)
	v.phone = newTab(browser, t, "phone", 390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch)
	v.all("0-no-race", func(b *tab) {
		b.open(v.wire.url() + "/")
		b.until("there is no race", says("main", "No public race"))
	})
	v.race = openRide(t, node, island(t))
	v.otherPlaces()
	wait := v.beforeTheGun()
	v.running()
	v.cut()
	v.all("7-withdrawn", func(b *tab) { b.until("Dana has given up", row(5)+".includes('DNF')") })
	wait()
	v.over()
}

// visit is the page in two windows, and the race that it shows.
type visit struct {
	t           *testing.T
	axe         string
	wire        *proxy
	desk, phone *tab
	race        *race
}

// all looks at one state of the page in both windows.
func (v *visit) all(name string, see func(b *tab)) {
	v.t.Helper()
	for _, b := range []*tab{v.desk, v.phone} {
		see(b)
		b.fits()
		b.shoot(name)
		b.noErrors()
	}
}

func (v *visit) otherPlaces() {
	v.t.Helper()
	v.all("1-list", func(b *tab) {
		b.until("the race is listed", says(".races a", "Velmar Autumn Classic"))
		b.accessible(v.axe)
	})
	v.all("2-unknown", func(b *tab) {
		b.networkFails(true) // the API answers 404
		b.open(v.wire.url() + "/race/no-such-race")
		b.until("it is unknown", says("[role=alert]", "cannot be shown"))
		b.accessible(v.axe)
		b.networkFails(false)
	})
}

// beforeTheGun announces it and sends everybody off; wait is for their ends.
func (v *visit) beforeTheGun() (wait func()) {
	v.t.Helper()
	r := v.race
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	r.command(&competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(r.gun)}}})
	r.withdraw(6, "broken wheel")
	wait = r.start(v.t.Context())
	v.all("3-before-the-gun", func(b *tab) {
		b.open(v.wire.url() + "/race/" + r.id)
		b.until("live", says(".pill.live", "live"))
		b.until("everybody is on the board", wholeLine+".length === 6")
		b.until("the countdown is shown", says(".pill", "countdown"))
	})
	return wait
}

func (v *visit) running() {
	v.t.Helper()
	desk := v.desk
	desk.until("the race runs", says(".pill", "running"))
	before := read[[][2]float64](desk, dots)
	desk.until("places by speed", order(2, 1, 3, 4, 5, 6))
	if off := read[float64](desk, offTheRoad); off > 6 {
		v.t.Errorf("a dot is %.1f beside the road", off)
	}
	v.all("4-running", func(b *tab) {
		b.until("a gap in time and in metres", "/\\+\\d[\\d.:]*/.test("+row(1)+") && /\\d m/.test("+row(1)+")")
	})
	if places := read[[]string](desk, "[...document.querySelectorAll('.board tbody .place')].map((e) => e.textContent.trim())"); !slices.Equal(places[:5], []string{"1", "2", "3", "4", "5"}) {
		v.t.Errorf("places = %q", places)
	}
	if now := read[[][2]float64](desk, dots); slices.Equal(before, now) {
		v.t.Errorf("nobody moved on the course: %v", now)
	}
	// Silent for 15 s by the wall; whoever is behind may in truth be ahead.
	v.all("5-offline", func(b *tab) {
		b.until("Chidi is offline", row(4)+".includes('offline')")
		b.until("Dana's place is unconfirmed", row(5)+".includes('unconfirmed')")
		b.accessible(v.axe)
	})
}

// cut cuts the wire and mends it when the page has said so; what happens meanwhile is seen afterwards.
func (v *visit) cut() {
	v.t.Helper()
	for _, b := range []*tab{v.desk, v.phone} {
		b.networkFails(true)
	}
	v.wire.cut()
	v.race.withdraw(5, "a puncture")
	v.all("6-lost", func(b *tab) { b.until("lost", says(".pill.lost", "lost")) })
	v.wire.mend()
	for _, b := range []*tab{v.desk, v.phone} {
		b.until("live again", says(".pill.live", "live"))
		b.networkFails(false)
	}
}

func (v *visit) over() {
	v.t.Helper()
	v.all("8-provisional", func(b *tab) {
		b.until("the result is provisional", says(".pill.provisional", "provisional"))
		// An entry under review has no place in a result.
		b.until("Bea is looked at", row(3)+".includes('under review') && "+order(2, 1, 4, 3, 5, 6))
		b.until("the gates' times are there", says("#gates", "gates"))
		b.accessible(v.axe)
	})
	v.race.command(&competitionv1.Command{Command: &competitionv1.Command_Decide{Decide: &competitionv1.Decided{Entry: 3, Decision: "clear", Reason: "the receiver"}}})
	v.race.command(&competitionv1.Command{Command: &competitionv1.Command_Official{Official: &competitionv1.MakeOfficial{}}})
	result := v.race.official(60 * time.Second)
	v.all("9-official", func(b *tab) {
		b.until("the result is official", says(".pill.official", "official"))
		b.until("the result's order", order(2, 1, 3, 4, 5, 6))
		b.accessible(v.axe)
	})
	// What the page shows is what was published.
	for _, got := range result.GetRows() {
		if got.Place == 0 {
			continue
		}
		want := fmt.Sprintf("%d:%02d.%d", got.GunUs/60_000_000, got.GunUs/1_000_000%60, got.GunUs/100_000%10)
		if text := read[string](v.desk, row(int(got.Entry))); !strings.Contains(text, want) {
			v.t.Errorf("entry %d: the page says %q, the result %s", got.Entry, text, want)
		}
	}
	v.desk.dark()
	v.desk.shoot("9-official-dark")
	v.desk.accessible(v.axe)
	v.desk.noErrors()
}
