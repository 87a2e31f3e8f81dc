package main

import (
	"context"
	"fmt"
	"time"

	"paceline/cluster/level"
	"paceline/persistence"
)

// levelFormat names the feature level among the formats of a data folder.
const levelFormat = "feature level"

// levelEvery is how often a node looks whether the level has risen, where another one may have raised it.
const levelEvery = time.Second

// openLevel takes the store's feature level over, or begins one. A node that cannot read it ends here.
func (n *node) openLevel(ctx context.Context) error {
	store := level.In(n.store.under)
	at, err := store.Read(ctx)
	if err == nil && at == 0 {
		at, err = store.Begin(ctx, n.cfg.firstLevel(n.store.fresh))
	}
	if err != nil {
		return err
	}
	if err := level.This.Serves(at); err != nil {
		return err
	}
	if err := n.store.noteLevel(at); err != nil { // a raise may have ended in the middle, or a backup been older
		return err
	}
	n.level.Follow(at)
	if persistence.Shared(n.store.under) {
		n.followLevel(ctx, store)
	}
	return nil
}

// firstLevel is where a store begins: one that a release before levels has written to, at what that wrote.
func (s settings) firstLevel(fresh bool) uint32 {
	switch {
	case !fresh:
		return level.Before
	case s.FirstLevel != 0:
		return uint32(s.FirstLevel)
	}
	return level.This.Writes
}

func (s settings) validateLevel() error {
	if l := s.FirstLevel; l != 0 && (l < int(level.This.Oldest) || l > int(level.This.Writes)) {
		return fmt.Errorf("--first-level %d: this release begins at %d to %d", l, level.This.Oldest, level.This.Writes)
	}
	return nil
}

// followLevel looks for a level that another node has raised.
func (n *node) followLevel(ctx context.Context, store level.Store) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(levelEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			look, done := context.WithTimeout(ctx, controlWithin)
			at, err := store.Look(look)
			done()
			if err != nil {
				n.log.Debug("the feature level cannot be read", "err", err) // the store's troubles are told elsewhere
				continue
			}
			if !n.risen(at) {
				return
			}
		}
	}()
	n.later(func(context.Context) error { cancel(); <-ended; return nil })
}

// risen takes a level over; false: this release cannot read it, and this run ends.
func (n *node) risen(at uint32) bool {
	if at <= n.level.At() {
		return true
	}
	if err := level.This.Serves(at); err != nil {
		select {
		case n.failed <- err:
		default:
		}
		return false
	}
	if n.level.Follow(at) {
		n.log.Info("the feature level has risen", "level", at)
	}
	return true
}

// noteLevel lets releases that cannot read the level refuse the folder before they touch it.
func (s *store) noteLevel(at uint32) error {
	if s.raise == nil || at == level.Before {
		return nil
	}
	return s.raise(levelFormat, int(at))
}

// aliveWithin is how long ago the row of a member that is not seen may have moved to count as one that lives.
const aliveWithin = 10 * time.Second

// raise raises the level, if every member can read it.
func (n *node) raise(ctx context.Context, to uint32) (from, at uint32, err error) {
	store := level.In(n.store.under)
	if from, err = store.Read(ctx); err != nil {
		return 0, 0, err
	}
	target, err := level.This.Target(from, to, n.levelMembers())
	if err != nil {
		return from, from, err
	}
	if target > from {
		if err := n.store.noteLevel(target); err != nil {
			return from, from, err
		}
	}
	if at, err = store.Raise(ctx, from, target); err != nil {
		return from, from, err
	}
	if at > from {
		n.log.Info("the feature level was raised", "from", from, "to", at)
	}
	n.risen(at)
	return from, at, nil
}

// levelMembers are all who could be wronged by a raise.
func (n *node) levelMembers() []level.Member {
	known, _ := n.cluster.Report()
	var all []level.Member
	for _, k := range known {
		if k.Seen || k.RowAge >= 0 && k.RowAge < aliveWithin {
			all = append(all, level.Member{Name: nameOf(k), Reads: k.Level, Seen: k.Seen})
		}
	}
	return all
}
