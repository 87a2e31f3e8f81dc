//go:build !race

package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/cluster/level"
)

// TestAskStatus: nobody is asked before the level allows it; then who answers is heard, who does not is silent.
func TestAskStatus(t *testing.T) {
	all, _ := several(t, 2)
	one, two := all[0], all[1]
	ask := func() (*clusterv1.NodeStatus, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return one.AskStatus(ctx, two.Member(), &clusterv1.NodeStatusAsk{Grain: "a/user/a"})
	}
	asked := 0
	two.AnswerStatus(func(*clusterv1.NodeStatusAsk, func(proto.Message, error)) { asked++ })
	if _, err := ask(); !errors.Is(err, ErrLevel) || asked != 0 {
		t.Errorf("before the level is known: %v, asked %d times", err, asked)
	}
	one.cfg.Level.Follow(level.Before)
	if _, err := ask(); !errors.Is(err, ErrLevel) || asked != 0 {
		t.Errorf("at the first level: %v, asked %d times", err, asked)
	}
	one.cfg.Level.Follow(level.NodeStatus)
	if _, err := ask(); !errors.Is(err, ErrSilent) {
		t.Errorf("of one that says nothing: %v", err)
	}
	two.AnswerStatus(nil)
	if _, err := ask(); !errors.Is(err, call.ErrBusy) {
		t.Errorf("of one that has not begun: %v", err)
	}
	two.AnswerStatus(func(a *clusterv1.NodeStatusAsk, done func(proto.Message, error)) {
		done(&clusterv1.NodeStatus{Member: two.Member(), Active: a.GetGrain() == "a/user/a"}, nil)
	})
	if s, err := ask(); err != nil || s.GetMember() != two.Member() || !s.GetActive() {
		t.Errorf("answered: %v, %v", s, err)
	}
}

// TestReport: both know each other, with rows that move, and since when the members are what they are.
func TestReport(t *testing.T) {
	all, _ := several(t, 2)
	until(t, "both rows are known", func() bool {
		known, changed := all[0].Report()
		for _, k := range known {
			if !k.Seen || !k.Among || !k.Serves || k.CutOff || k.RowAge < 0 || k.RowAge > 3*time.Second {
				return false
			}
		}
		return len(known) == 2 && time.Since(changed) < time.Minute && time.Since(all[0].Turned()) < 5*time.Second
	})
	lone, err := Start(t.Context(), Default(), func(*Cluster) []Kind { return nil })
	if err != nil {
		t.Fatal(err)
	}
	known, changed := lone.Report()
	if len(known) != 1 || known[0].ID != lone.Member() || !known[0].Serves || changed.IsZero() {
		t.Errorf("a lone member knows %v since %v", known, changed)
	}
	if err := lone.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
