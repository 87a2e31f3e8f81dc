package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paceline/cluster/link"
	"paceline/domain/id"
	"paceline/simulations/swarm"
)

// Slow is a node that is felt at the sockets of another one. First it stands still for a while again and again, too
// shortly to be given up; then for so long that the others go on without it.
var Slow = Trial{Name: "a slow node, all sockets on another", Seconds: 58, Hz: 10, OneDoor: true, Shows: []string{lateRow}, Do: slow}

const (
	slowTurns = 3
	// slowStop is longer than a frame may be under way before its client is told to wait (2 s), and shorter than gossip
	// takes to miss a member (2.9 s).
	slowStop = 2300 * time.Millisecond
	slowGo   = 1200 * time.Millisecond
	longStop = 12 * time.Second
	// mostMore is what the door may take in memory, beside what it takes anyway: what a member can cost its link, and the
	// windows of some hundred connections; twice, because a collector lets garbage grow to what is held.
	mostMore = 64 << 20
)

func slow(ctx context.Context, r *Round) error {
	door := r.Fleet.nodes[0]
	out := r.Rest[len(r.Rest)-1] // neither the door nor the race's node
	w := r.watchDoor(door, out)
	if len(w.far) == 0 || len(w.near) == 0 {
		return fmt.Errorf("trial: %d devices live on %s and %d elsewhere: the trial shows nothing", len(w.far), out.name, len(w.near))
	}
	before, served := w.memory(), out.count(serving)
	w.full() // from here on
	for range slowTurns {
		if err := errors.Join(out.Signal(syscall.SIGSTOP), w.during(ctx, slowStop), out.Signal(syscall.SIGCONT), w.during(ctx, slowGo)); err != nil {
			return err
		}
	}
	err := w.judge("slow", slowStop)
	// Where it was given up all the same it has to be back, or nobody lives on it.
	err = errors.Join(err, r.Fleet.Agree(ctx, r.all()...))
	if n := out.count(serving) - served; n > 0 {
		r.note("gossip gave it up %d times while it was slow", n)
	}
	err = errors.Join(err, w.calm(ctx))
	served = out.count(serving)
	r.mark()
	r.away = out
	w.full()
	if err := errors.Join(err, out.Signal(syscall.SIGSTOP)); err != nil {
		return err
	}
	back := make(chan error, 1)
	go func() { back <- r.Back(ctx, false) }()
	if err := errors.Join(w.during(ctx, longStop), out.Signal(syscall.SIGCONT)); err != nil {
		return errors.Join(err, <-back)
	}
	err = errors.Join(w.judge("gone", slowStop), w.memoryGrew(before))
	err = errors.Join(err, until(ctx, upWithin, func() error {
		if out.count(serving) == served {
			return fmt.Errorf("trial: %s has not begun anew: %s", out.name, out.lastLine(""))
		}
		return nil
	}))
	if err == nil && r.watch.Node.Now() >= r.watch.End {
		err = errors.New("trial: the race was over before the slow node was back")
	}
	return errors.Join(err, <-back, r.Fleet.Agree(ctx, r.all()...))
}

// doorWatch is what is felt at one node's sockets while another one takes nothing.
type doorWatch struct {
	r         *Round
	door      *Process
	far, near []*felt // devices whose grains live on the node that takes nothing, and all others

	waiting, underWay, most uint64 // the door's worst: bytes, parcels, resident bytes
}

// felt is how a device fares.
type felt struct {
	*swarm.Device
	held    int // times told to wait, before
	acked   uint64
	since   time.Time     // of the last acknowledgement, or when nothing was under way
	longest time.Duration // without one
}

func (r *Round) watchDoor(door, out *Process) *doorWatch {
	w := &doorWatch{r: r, door: door}
	all := r.all()
	for _, d := range r.watch.Devices {
		f := &felt{Device: d}
		if all[swarm.OwnerOf(id.Of(id.Device, d.Device), addresses(all))] == out {
			w.far = append(w.far, f)
		} else {
			w.near = append(w.near, f)
		}
	}
	return w
}

// full begins anew.
func (w *doorWatch) full() {
	w.waiting, w.underWay, w.most = 0, 0, 0
	for _, f := range slices.Concat(w.far, w.near) {
		f.held, f.acked, f.since, f.longest = f.Held(), f.Acked(), time.Now(), 0
	}
}

// calm waits until everything that was sent is nearly acknowledged: whoever still waits is not told so once more.
func (w *doorWatch) calm(ctx context.Context) error {
	return until(ctx, backWithin, func() error {
		for _, f := range slices.Concat(w.far, w.near) {
			if acked, sent := f.Acked(), f.Sent(); acked+10 < sent && !f.NoNetwork() && !f.Dead() {
				return fmt.Errorf("trial: %s is acknowledged through %d of %d", f.Name, acked, sent)
			}
		}
		return nil
	})
}

// during looks again and again.
func (w *doorWatch) during(ctx context.Context, d time.Duration) error {
	end, tick := time.NewTimer(d), time.NewTicker(20*time.Millisecond)
	defer end.Stop()
	defer tick.Stop()
	for i := 0; ; i++ {
		for _, f := range slices.Concat(w.far, w.near) {
			f.look()
		}
		if i%5 == 0 {
			if err := w.counters(); err != nil {
				return err
			}
			w.most = max(w.most, w.memory())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return nil
		case <-tick.C:
		}
	}
}

func (f *felt) look() {
	now, acked := time.Now(), f.Acked()
	if acked != f.acked || acked >= f.Sent() || f.NoNetwork() || f.Dead() {
		f.acked, f.since = acked, now
	}
	f.longest = max(f.longest, now.Sub(f.since))
}

// counters asks the door what its link holds.
func (w *doorWatch) counters() error {
	for name, worst := range map[string]*uint64{"paceline_link_waiting_bytes": &w.waiting, "paceline_link_under_way": &w.underWay} {
		v, err := w.door.counter(name)
		if err != nil {
			return err
		}
		*worst = max(*worst, v)
	}
	return nil
}

// counter asks a node for one of its numbers.
func (p *Process) counter(name string) (uint64, error) {
	client := &http.Client{Timeout: 2 * time.Second}
	a, err := client.Get(p.URL() + "/metrics")
	if err != nil {
		return 0, fmt.Errorf("trial: counters of %s: %w", p.name, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, fmt.Errorf("trial: counters of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return uint64(v), err
		}
	}
	return 0, fmt.Errorf("trial: %s has no counter %s", p.name, name)
}

// memory is the resident bytes of the door's process; 0 where the system does not say.
func (w *doorWatch) memory() uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.door.pid()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func (w *doorWatch) memoryGrew(before uint64) error {
	w.r.note("memory of the node with the sockets %d MB before, at most %d MB", before>>20, w.most>>20)
	if w.most > before+mostMore {
		return fmt.Errorf("trial: %s grew from %d to %d bytes while another node took nothing", w.door.name, before, w.most)
	}
	return nil
}

// judge: who lives on the node that takes nothing is told to wait, all others are not delayed by it, and the door's link holds
// no more for it than its bounds say.
func (w *doorWatch) judge(what string, stop time.Duration) error {
	var errs []error
	told := 0
	for _, f := range w.far {
		if f.Held() > f.held {
			told++
		} else if f.longest >= stop && !f.NoNetwork() && !f.Dead() {
			errs = append(errs, fmt.Errorf("trial: %s: %s had no acknowledgement for %v and was not told to wait", what, f.Name, f.longest))
		}
	}
	if told == 0 {
		errs = append(errs, fmt.Errorf("trial: %s: none of %d devices was told to wait", what, len(w.far)))
	}
	longest := func(of []*felt) time.Duration {
		return slices.MaxFunc(of, func(a, b *felt) int { return cmp.Compare(a.longest, b.longest) }).longest
	}
	if near := longest(w.near); near > stop*3/4 {
		errs = append(errs, fmt.Errorf("trial: %s: a device that has nothing to do with the node had no acknowledgement for %v", what, near))
	}
	cfg := link.Default()
	if most := uint64(cfg.Window + 1); w.underWay > most { // one probe more
		errs = append(errs, fmt.Errorf("trial: %s: %d parcels were under way to one member, want at most %d", what, w.underWay, most))
	}
	if most := uint64(2 * cfg.PeerBytes); w.waiting > most {
		errs = append(errs, fmt.Errorf("trial: %s: %d bytes waited for one member, want at most %d", what, w.waiting, most))
	}
	w.r.note("%s: %d of %d devices told to wait, at most %.1f s without an acknowledgement, the %d others %.1f s; %d parcels under way and %d KB waiting at most", what,
		told, len(w.far), longest(w.far).Seconds(), len(w.near), longest(w.near).Seconds(), w.underWay, w.waiting>>10)
	return errors.Join(errs...)
}
