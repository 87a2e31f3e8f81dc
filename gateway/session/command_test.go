package session_test

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

func TestClock(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.now.Node = begin.Add(77)
	r.say(&livev1.Ping{T0Ms: 5})
	if p := r.last().GetPong(); p.T0Ms != 5 || p.T1Ms != int64(begin)+77 || p.T2Ms != int64(begin)+77 {
		t.Errorf("pong = %v", p)
	}
	r.open("s1")
	offer := func(offset int64, rtt uint32) (asked *devicev1.Clock) {
		r.say(&livev1.Ping{StreamId: "s1", OffsetMs: offset, RttMs: rtt})
		if len(r.asked) == 0 {
			return nil
		}
		q := r.question()
		r.answer(q, &clusterv1.Ack{}, nil)
		return q.Msg.(*devicev1.Clock)
	}
	if c := offer(-400, 100); c == nil || c.OffsetMs != -400 || c.ErrorMs != 51 || c.Source != "ping" {
		t.Fatalf("the first measurement: %v", c)
	}
	if c := offer(-600, 90); c != nil {
		t.Errorf("200 ms apart is news: %v", c)
	}
	if c := offer(-2000, 900); c != nil {
		t.Errorf("a worse measurement wins: %v", c)
	}
	if c := offer(-700, 80); c == nil || c.OffsetMs != -700 {
		t.Errorf("300 ms apart is no news: %v", c)
	}
	if c := offer(int64(2*unit.Day), 1); c != nil {
		t.Errorf("two days are a measurement: %v", c)
	}
	for range 7 {
		offer(-700, 400)
	}
	if c := offer(-1100, 300); c != nil {
		t.Errorf("400 ms apart with an error of 151: %v, want news only beyond 3 errors", c)
	}
	r.say(&livev1.Ping{StreamId: "s9", OffsetMs: 1, RttMs: 1})
	r.wantError("stream.not_open")

	gnss := opening("s2")
	gnss.Clock = livev1.ClockKind_CLOCK_KIND_GNSS
	r.say(gnss)
	r.answer(r.question(), &devicev1.OpenDone{StreamId: "s2", Training: "ann/w1"}, nil)
	r.say(&livev1.Ping{StreamId: "s2", OffsetMs: 5000, RttMs: 10})
	if len(r.asked) != 0 {
		t.Error("a satellite clock was corrected")
	}
}

func TestCommands(t *testing.T) {
	lap := func(workout string) *livev1.Command {
		return &livev1.Command{CommandId: "c1", WorkoutId: workout, Command: &livev1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: 1}}}
	}
	join := &livev1.Command{CommandId: "c2", WorkoutId: "w1", Command: &livev1.Command_Join{Join: &livev1.Join{CompetitionId: "race"}}}
	leave := func(workout string) *livev1.Command {
		return &livev1.Command{CommandId: "c4", WorkoutId: workout, Command: &livev1.Command_Leave{Leave: &livev1.Leave{CompetitionId: "race"}}}
	}
	t.Run("to the training", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(lap("w1"))
		q := r.question()
		m := q.Msg.(*trainingv1.Command)
		if q.To.Identity() != "ann/training/w1" || m.Call.By != "athlete:ann" || m.Call.CommandId != "c1" || m.GetLap() == nil {
			t.Errorf("asked %v: %v", q.To, m)
		}
		r.say(lap("w1")) // the same id while it is under way
		if len(r.asked) != 0 {
			t.Error("the same command went twice")
		}
		r.answer(q, &clusterv1.Ack{Stream: "training/ann/w1", Version: 9}, nil)
		if c := r.last().GetCommandResult(); c.CommandId != "c1" || c.Version != 9 || c.Stream != "training/ann/w1" || c.Error != nil {
			t.Errorf("result = %v", c)
		}
		r.say(lap("w1")) // afterwards it is the grain's to know it
		if len(r.asked) != 1 {
			t.Error("a repeated command is not asked again")
		}
	})
	t.Run("refused", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(lap("w1"))
		r.answer(r.question(), nil, fault.New(fault.Conflict, "training.finished", "over"))
		if c := r.last().GetCommandResult(); c.GetError().GetCode() != "training.finished" || c.CommandId != "c1" {
			t.Errorf("result = %v", c)
		}
	})
	t.Run("join binds and follows", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.open("s1")
		r.say(join)
		q := r.question()
		m := q.Msg.(*competitionv1.Command).GetJoin()
		if q.To.String() != "competition/race" || m.UserId != "ann" || m.Training != "ann/w1" {
			t.Errorf("asked %v: %v", q.To, m)
		}
		r.answer(q, &competitionv1.CommandDone{Version: 3, Entry: 12}, nil)
		if c := r.last().GetCommandResult(); c.Entry != 12 {
			t.Errorf("result = %v", c)
		}
		if f, ok := r.outs[len(r.outs)-1].(session.Follow); !ok || f.Competition != "race" {
			t.Error("the race is not followed")
		}
	})
	t.Run("leave withdraws the own entry", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(leave(""))
		q := r.question()
		m := q.Msg.(*competitionv1.Command)
		if q.To.String() != "competition/race" || m.GetLeave().GetUserId() != "ann" || m.Call.By != "athlete:ann" || m.Call.CommandId != "c4" {
			t.Errorf("asked %v: %v", q.To, m)
		}
		r.answer(q, &competitionv1.CommandDone{Version: 31, Entry: 12}, nil)
		if c := r.last().GetCommandResult(); c.CommandId != "c4" || c.Entry != 12 || c.Version != 31 || c.Error != nil {
			t.Errorf("result = %v", c)
		}
		r.say(leave(""))
		r.answer(r.question(), nil, fault.New(fault.Conflict, "competition.over", "The race is over."))
		if c := r.last().GetCommandResult(); c.GetError().GetCode() != "competition.over" {
			t.Errorf("result = %v", c)
		}
	})
	for name, tt := range map[string]struct {
		as   string
		cmd  *livev1.Command
		want string
	}{
		"nobody":                 {"", lap("w1"), "auth.token_needed"},
		"an operator":            {"operator:ops", lap("w1"), "auth.denied"},
		"no workout":             {"athlete:ann", lap(""), "command.workout_needed"},
		"a machine nobody rides": {"device:mill/mill", lap("w1"), "command.nobody_rides"},
		"react":                  {"athlete:ann", &livev1.Command{CommandId: "c", Command: &livev1.Command_React{React: &livev1.React{CompetitionId: "race"}}}, "reaction.entry"},
		"nobody leaves":          {"", leave("w1"), "auth.token_needed"},
		"an operator leaves":     {"operator:ops", leave("w1"), "auth.denied"},
		"a machine leaves alone": {"device:mill/mill", leave("w1"), "command.nobody_rides"},
	} {
		t.Run(name, func(t *testing.T) {
			r := as(t, session.Config{}, tt.as)
			r.say(tt.cmd)
			if c := r.last().GetCommandResult(); c.GetError().GetCode() != tt.want {
				t.Errorf("result = %v, want %s", r.last(), tt.want)
			}
			if len(r.asked) != 0 {
				t.Error("a grain was asked")
			}
		})
	}
	t.Run("a shared machine commands for who rides it", func(t *testing.T) {
		r := as(t, session.Config{}, "device:mill/mill")
		o := opening("s1")
		o.DeviceId, o.PersonId = "mill/mill", "bob"
		r.say(o)
		r.answer(r.question(), &devicev1.OpenDone{StreamId: "s1", Training: "bob/w1"}, nil)
		r.say(lap("w1"))
		if q := r.question(); q.To.Identity() != "bob/training/w1" {
			t.Errorf("asked %v, want bob's training", q.To)
		}
		r.say(leave("w1"))
		if q := r.question(); q.Msg.(*competitionv1.Command).GetLeave().GetUserId() != "bob" {
			t.Errorf("asked %v, want bob's entry withdrawn", q.Msg)
		}
		r.say(&livev1.Command{CommandId: "c3", WorkoutId: "w2", Command: lap("").Command})
		if c := r.last().GetCommandResult(); c.GetError().GetCode() != "command.nobody_rides" {
			t.Errorf("another workout: %v", r.last())
		}
	})
	t.Run("too many at once", func(t *testing.T) {
		r := as(t, session.Config{MaxCommands: 1}, "athlete:ann")
		r.say(lap("w1"))
		r.say(join)
		if c := r.last().GetCommandResult(); c.GetError().GetCode() != "session.commands" {
			t.Errorf("last = %v", r.last())
		}
	})
}

func TestSubscribe(t *testing.T) {
	sub := func(topic, cut string) *livev1.Subscribe {
		return &livev1.Subscribe{Topic: topic, Cut: cut, Epoch: 4, Version: 9}
	}
	look := func(r *rig) session.Lookup {
		l, ok := r.outs[len(r.outs)-1].(session.Lookup)
		if !ok {
			r.t.Fatalf("last out = %v, want a lookup", r.outs[len(r.outs)-1])
		}
		return l
	}
	t.Run("public", func(t *testing.T) {
		r := as(t, session.Config{}, "")
		r.say(sub("competition/race/board", "top:3"))
		l := look(r)
		r.step(session.Looked{Tag: l.Tag, Resource: auth.Resource{Public: true}})
		s, ok := r.outs[len(r.outs)-1].(session.Subscribe)
		if !ok || s.Topic.ID != "race" || s.Cut.N != 3 || s.Epoch != 4 || s.Version != 9 {
			t.Errorf("last out = %+v", r.outs[len(r.outs)-1])
		}
		r.say(&livev1.Unsubscribe{Topic: "competition/race/board", Cut: "top:3"})
		if _, ok := r.outs[len(r.outs)-1].(session.Unsubscribe); !ok {
			t.Error("not unsubscribed")
		}
	})
	t.Run("private", func(t *testing.T) {
		r := as(t, session.Config{}, "")
		r.say(sub("competition/race/board", ""))
		r.step(session.Looked{Tag: look(r).Tag})
		if e := r.wantError("auth.token_needed"); e.Topic != "competition/race/board" {
			t.Errorf("error = %v", e)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		r := as(t, session.Config{}, "")
		for _, topic := range []string{"nonsense", "competition/race/secrets", "group/1/feed", "inbox/ann"} {
			r.say(sub(topic, ""))
			r.wantError("topic.unknown")
		}
		r.say(sub("competition/race/board", "middle:3"))
		r.wantError("topic.cut_unknown")
		r.say(sub("competition/race/board", ""))
		r.step(session.Looked{Tag: look(r).Tag, Err: fault.New(fault.NotFound, "competition.unknown", "x")})
		r.wantError("competition.unknown")
	})
	t.Run("a workout of somebody else", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(sub("workout/w7", ""))
		r.step(session.Looked{Tag: look(r).Tag, Resource: auth.Resource{Person: "bob"}, Training: "bob/w7"})
		r.wantError("auth.denied")
	})
	t.Run("unsubscribed while it is looked up", func(t *testing.T) {
		r := as(t, session.Config{}, "")
		r.say(sub("competition/race/board", ""))
		l := look(r)
		r.say(&livev1.Unsubscribe{Topic: "competition/race/board"})
		n := len(r.outs)
		r.step(session.Looked{Tag: l.Tag, Resource: auth.Resource{Public: true}})
		if len(r.outs) != n {
			t.Errorf("out = %v", r.outs[n:])
		}
	})
	t.Run("refused by the hub", func(t *testing.T) {
		r := as(t, session.Config{MaxSubscriptions: 1}, "")
		s := r.watch("competition/race/board", "category:none", auth.Resource{Public: true}, "")
		r.say(sub("competition/race/board", ""))
		r.wantError("session.subscriptions")
		r.step(session.HubRefused{Topic: "competition/race/board", Cut: "category:none", Tag: s.Tag, Err: wire.ErrCut})
		r.wantError("topic.cut_unknown")
		r.say(sub("competition/race/board", ""))
		look(r) // there is room again
	})
}
