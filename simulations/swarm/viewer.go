package swarm

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"paceline/api/board"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/live"
)

// Viewer watches one board without a token, as anybody may watch a public race, and keeps what it shows.
type Viewer struct {
	Node  *Node
	Topic string
	Cut   string
	JSON  bool
	Log   *slog.Logger // nil: silent

	mu             sync.Mutex
	view           board.View
	epoch, version uint64
	recovering     bool
	frames         int
	backwards      int
	wrongBase      int
	running        map[uint64]bool // epochs of boards of a race under way
	onFrame        func(at time.Time, board *livev1.Board)
	topic          *live.Topic
}

// Board is what a viewer shows.
type Board struct {
	Epoch, Version uint64
	Recovering     bool
	Head           *livev1.Board // without rows
	Rows           []*livev1.BoardRow
}

// Run watches until ctx ends.
func (v *Viewer) Run(ctx context.Context) error {
	c := live.New(live.Config{URL: v.Node.Live(), Also: v.Node.AlsoLive(), Name: "paceline-swarm-viewer", Clock: v.Node.Now, JSON: v.JSON, BackOffMax: time.Second, Log: v.Log})
	t := c.Subscribe(v.Topic, v.Cut, v.take, nil)
	v.mu.Lock()
	v.topic = t
	v.mu.Unlock()
	err := c.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("swarm: viewer of %s: %w", v.Topic, err)
}

// take runs in the client's read loop.
func (v *Viewer) take(u live.Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frames++
	if s := u.Snapshot; s != nil {
		v.moved(s.Epoch, s.Version)
		v.recovering = s.Recovering
		v.view.Take(s.GetBoard())
	}
	if d := u.Delta; d != nil {
		if d.Base != v.version || d.Epoch != v.epoch {
			v.wrongBase++
		}
		v.moved(d.Epoch, d.Version)
		v.recovering = d.Recovering
		if b := d.GetBoard(); b != nil {
			v.view.Change(b)
		}
	}
	if v.view.Head.GetState() == livev1.RaceState_RACE_STATE_RUNNING && !v.recovering {
		if v.running == nil {
			v.running = map[uint64]bool{}
		}
		v.running[v.epoch] = true
	}
	if v.onFrame != nil {
		v.onFrame(time.Now(), v.view.Head)
	}
}

func (v *Viewer) moved(epoch, version uint64) {
	if epoch < v.epoch || epoch == v.epoch && version < v.version {
		v.backwards++
	}
	v.epoch, v.version = epoch, version
}

// Now is what the viewer shows.
func (v *Viewer) Now() Board {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := Board{Epoch: v.epoch, Version: v.version, Recovering: v.recovering, Head: v.view.Head}
	for _, r := range v.view.Rows {
		b.Rows = append(b.Rows, r)
	}
	slices.SortFunc(b.Rows, func(a, c *livev1.BoardRow) int {
		if (a.Place == 0) != (c.Place == 0) {
			return cmp.Compare(c.Place, a.Place) // those without a place come last
		}
		return cmp.Or(cmp.Compare(a.Place, c.Place), cmp.Compare(a.Entry, c.Entry))
	})
	return b
}

// EpochsRunning are the epochs of the whole boards of a race under way that the viewer had.
func (v *Viewer) EpochsRunning() []uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.running))
}

// Faults are frames that may not be: going back, and deltas that follow nothing.
func (v *Viewer) Faults() (backwards, wrongBase, frames int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.backwards, v.wrongBase, v.frames
}

// Difference says how two boards differ; empty: not at all.
func (b Board) Difference(o Board) string {
	if b.Epoch != o.Epoch || b.Version != o.Version {
		return fmt.Sprintf("at {%d, %d} and {%d, %d}", b.Epoch, b.Version, o.Epoch, o.Version)
	}
	if len(b.Rows) != len(o.Rows) {
		return fmt.Sprintf("%d and %d rows", len(b.Rows), len(o.Rows))
	}
	for i := range b.Rows {
		if !proto.Equal(b.Rows[i], o.Rows[i]) {
			return fmt.Sprintf("row %d: %v and %v", i, b.Rows[i], o.Rows[i])
		}
	}
	return ""
}

// Snapshot is the board as somebody sees it who has just come.
func Snapshot(ctx context.Context, n *Node, topic, cut string) (Board, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	v := &Viewer{Node: n, Topic: topic, Cut: cut}
	first := make(chan struct{})
	var once sync.Once
	v.onFrame = func(time.Time, *livev1.Board) { once.Do(func() { close(first) }) }
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	select {
	case <-first:
	case err := <-done:
		if err == nil {
			err = ctx.Err()
		}
		return Board{}, fmt.Errorf("swarm: no snapshot of %s: %w", topic, err)
	}
	b := v.Now()
	cancel()
	return b, <-done
}

// Converge waits until a viewer shows what somebody sees who has just come; else it says how they differ.
func Converge(ctx context.Context, v *Viewer, within time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		fresh, err := Snapshot(ctx, v.Node, v.Topic, v.Cut)
		different := ""
		if err != nil {
			different = err.Error()
		} else if different = v.Now().Difference(fresh); different == "" {
			return ""
		}
		select {
		case <-ctx.Done():
			return different
		case <-time.After(250 * time.Millisecond):
		}
	}
}
