package level

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"paceline/domain/fault"
	"paceline/persistence"
)

// The levels, each with what it allows. Append only; what is written under one is read from the release on that names it.
const (
	// Before is what releases wrote that know no levels; they say 0.
	Before uint32 = 1
	// NodeStatus allows NodeStatusAsk between members.
	NodeStatus uint32 = 2
	// LargeFields allows races whose result is published in parts (ADR 0023): events that a release before does not know.
	LargeFields uint32 = 3
)

// Build is what a binary can do.
type Build struct {
	Oldest uint32 // that it still serves
	Reads  uint32 // the newest that it can read
	Writes uint32 // the newest that it can write, at most Reads
}

// This is this binary.
var This = Build{Oldest: Before, Reads: LargeFields, Writes: LargeFields}

// Said is the level that a member of any release says it can read.
func Said(l uint32) uint32 { return max(l, Before) }

// Why a node does not serve: with these its process ends.
var (
	ErrNewer = errors.New("this release is too old for the cluster")
	ErrOlder = errors.New("this release is too new for the cluster")
)

// Why a level is not raised.
var (
	ErrBack    = fault.New(fault.Conflict, "level.back", "A feature level is never lowered.")
	ErrUnknown = fault.New(fault.Invalid, "level.unknown", "This release cannot write that feature level.")
	ErrMembers = fault.New(fault.Conflict, "level.members", "Not every member can read that feature level.")
)

// Serves is nil if the binary may serve at a level, else the sentence with which it ends.
func (b Build) Serves(l uint32) error {
	switch {
	case l > b.Reads:
		return fmt.Errorf("%w: it is at feature level %d, and this release reads up to %d (start the release that the other nodes run)", ErrNewer, l, b.Reads)
	case l < b.Oldest:
		return fmt.Errorf("%w: it is at feature level %d, and this release serves from %d on (start the release before, and raise the level: paceline cluster raise)", ErrOlder, l, b.Oldest)
	}
	return nil
}

// Member is what a raise looks at.
type Member struct {
	Name  string
	Reads uint32
	Seen  bool // by gossip, now; one that is not seen cannot be asked
}

// Target is the level that the cluster is to be raised to: to, or the newest one that is possible (0). Its error says who
// or what stands against it. A member that is not seen, and lives, stands against everything that it may not read.
func (b Build) Target(at, to uint32, members []Member) (uint32, error) {
	most := b.Writes
	for _, m := range members {
		most = min(most, Said(m.Reads))
	}
	switch {
	case to == 0:
		return max(at, most), nil
	case to < at:
		return at, ErrBack.With("it is %d, %d was asked for", at, to)
	case to > b.Writes:
		return at, ErrUnknown.With("%d was asked for, it writes up to %d", to, b.Writes)
	}
	var lacking []string
	for _, m := range members {
		if r := Said(m.Reads); r < to {
			why := fmt.Sprintf("%s reads up to %d", m.Name, r)
			if !m.Seen {
				why += " and is not seen"
			}
			lacking = append(lacking, why)
		}
	}
	if len(lacking) > 0 {
		return at, ErrMembers.With("%s", strings.Join(lacking, ", "))
	}
	return to, nil
}

// Current is the level by which a node writes. It is safe for concurrent use.
type Current struct{ at atomic.Uint32 }

// Allows reports whether what a level allows may be written.
func (c *Current) Allows(l uint32) bool { return c.at.Load() >= l }

// At is the level; 0: none is known yet, and nothing is allowed.
func (c *Current) At() uint32 { return c.at.Load() }

// Follow takes a level over that the store says. It never goes back.
func (c *Current) Follow(l uint32) (risen bool) {
	for {
		was := c.at.Load()
		if l <= was {
			return false
		}
		if c.at.CompareAndSwap(was, l) {
			return true
		}
	}
}

// Store keeps the level.
type Store struct{ rows persistence.Rows }

// In is the level of what these rows hold.
func In(rows persistence.Rows) Store { return Store{rows} }

func part() persistence.Part {
	return persistence.Part{Table: persistence.TableControl, Key: (&persistence.Key{}).Str("meta").Str("feature level").String()}
}

// Read is the level as the last raise left it; 0: there is none yet. It is read at SERIAL.
func (s Store) Read(ctx context.Context) (uint32, error) {
	head, err := s.rows.Head(ctx, part())
	if err != nil {
		return 0, fmt.Errorf("read the feature level: %w", err)
	}
	return uint32(head.Version), nil
}

// Look is Read for those who follow: cheaper, and perhaps a moment late.
func (s Store) Look(ctx context.Context) (uint32, error) {
	cell, ok, err := s.rows.Get(ctx, part(), "")
	if err != nil {
		return 0, fmt.Errorf("read the feature level: %w", err)
	}
	if !ok {
		return 0, nil
	}
	k := persistence.ReadKey(string(cell))
	l := k.U32()
	if k.Bad() {
		return 0, fmt.Errorf("%w: feature level", persistence.ErrCorrupt)
	}
	return l, nil
}

// Begin makes the level of a store that has none, or reads the one that somebody else has made.
func (s Store) Begin(ctx context.Context, l uint32) (uint32, error) { return s.set(ctx, 0, l) }

// Raise sets the level if it still is from. The answer is the level that holds: another one, if somebody was faster.
func (s Store) Raise(ctx context.Context, from, to uint32) (uint32, error) {
	if to <= from {
		return from, nil
	}
	return s.set(ctx, from, to)
}

func (s Store) set(ctx context.Context, from, to uint32) (uint32, error) {
	head := persistence.Head{Version: uint64(to), AppendID: fmt.Sprintf("level %d", to)}
	row := persistence.Row{Cell: []byte((&persistence.Key{}).U32(to).String())}
	applied, current, err := s.rows.PutIf(ctx, part(), uint64(from), head, []persistence.Row{row})
	switch {
	case err != nil:
		return from, fmt.Errorf("store the feature level: %w", err)
	case applied:
		return to, nil
	}
	return uint32(current.Version), nil
}
