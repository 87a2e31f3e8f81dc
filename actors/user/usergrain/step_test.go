package usergrain

import (
	"context"
	"errors"
	"testing"

	"paceline/actors/machine"
	"paceline/actors/user"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

type events struct{}

func (events) Publish(_ context.Context, _ id.Grain, r []persistence.Record) (uint64, error) {
	return r[len(r)-1].Version, nil
}

// desk carries one activation on a memory store; I/O happens at once.
type desk struct {
	t       *testing.T
	store   *persistence.RowStore
	shell   *Shell
	now     step.Now
	stopped string
	told    []step.ToNode
}

type answer struct {
	msg any
	err error
}

func newDesk(t *testing.T, rows *memory.Rows, activation string) *desk {
	d := &desk{t: t, store: persistence.Over(rows)}
	d.at(1_718_462_000_000)
	n := 0
	d.shell = New(Config{Grain: id.Of(id.User, "u1"), Activation: activation, Member: "m", Random: func() uint64 { return 1 },
		NewID: func(step.Now) string { n++; return activation + string(rune('a'+n)) }})
	d.step(machine.StartMsg{}, nil)
	return d
}

func (d *desk) at(t unit.InstantMs) {
	d.now = step.Now{Wall: t, Node: t, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
}

func (d *desk) step(msg any, from step.Return) {
	for _, o := range d.shell.Step(d.now, msg, from) {
		switch o := o.(type) {
		case persistence.Do:
			result, err := o.Op.Run(context.Background(), d.store, events{})
			d.step(persistence.Done{Tag: o.Tag, Result: result, Err: err}, nil)
		case step.Reply:
			*o.To.(*answer) = answer{o.Msg, o.Err}
		case step.ToNode:
			d.told = append(d.told, o)
		case step.Stop:
			d.stopped = o.Why
		}
	}
}

func (d *desk) ask(msg any) answer {
	var a answer
	d.step(msg, &a)
	return a
}

func TestUser(t *testing.T) {
	rows := memory.New()
	d := newDesk(t, rows, "a1")
	call := &clusterv1.Call{By: "athlete:u1", CommandId: id.New(1_718_462_000_000, [10]byte{1})}
	profile := &userv1.Profile{Handle: "Ada", Name: "Ada", Visibility: userv1.Visibility_VISIBILITY_PUBLIC}
	if a := d.ask(&userv1.Get{}); !errors.Is(a.err, user.ErrNotRegistered) {
		t.Errorf("Get of nobody = %v", a)
	}
	register := &userv1.Register{Call: call, Profile: profile}
	for range 2 {
		if a := d.ask(register); a.err != nil || a.msg.(*clusterv1.Ack).Version != 1 || a.msg.(*clusterv1.Ack).Stream != "user/u1" {
			t.Fatalf("Register = %v", a)
		}
	}
	other := &userv1.ChangeProfile{Call: &clusterv1.Call{By: "athlete:u2"}, Profile: profile}
	if a := d.ask(other); !errors.Is(a.err, user.ErrNotYours) {
		t.Errorf("ChangeProfile by another = %v", a)
	}
	wild := &userv1.ChangeProfile{Call: &clusterv1.Call{By: "athlete:u1"},
		Profile: &userv1.Profile{Handle: "ada", Name: "Ada", Visibility: 257}}
	if a := d.ask(wild); !errors.Is(a.err, user.ErrVisibility) {
		t.Errorf("ChangeProfile = %v", a)
	}
	wild.Profile.Visibility = userv1.Visibility_VISIBILITY_PRIVATE
	if a := d.ask(wild); a.err != nil || a.msg.(*clusterv1.Ack).Version != 2 {
		t.Errorf("ChangeProfile = %v", a)
	}
	if a := d.ask(&clusterv1.Call{}); !errors.Is(a.err, ErrMessage) {
		t.Errorf("an unknown message = %v", a)
	}

	e := newDesk(t, rows, "a2") // everything is found again
	a := e.ask(&userv1.Get{})
	s, _ := a.msg.(*userv1.State)
	if a.err != nil || s.Version != 2 || s.UserId != "u1" || s.Profile.Handle != "ada" || s.Profile.Visibility != 3 {
		t.Errorf("Get = %v", a)
	}
	if a := e.ask(register); a.err != nil || a.msg.(*clusterv1.Ack).Version != 1 {
		t.Errorf("the repeated command = %v, want its first answer", a)
	}

	e.step(step.Sweep{}, nil)
	if e.stopped != "" {
		t.Fatal("rested although it was just used")
	}
	e.at(e.now.Wall.Add(3 * unit.Minute))
	e.step(step.Sweep{}, nil)
	if e.stopped != "rest" {
		t.Errorf("does not rest: %q", e.stopped)
	}
}
