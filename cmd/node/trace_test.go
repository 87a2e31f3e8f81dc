package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/asynkron/protoactor-go/actor"
	"github.com/coder/websocket"

	"paceline/actors/machine"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
	"paceline/domain/step"
)

// TestATraceGoesToTheOtherNode: what is asked of one node, of its API and on a live connection, is in the journal of a
// grain on the other node with the trace that the client named.
func TestATraceGoesToTheOtherNode(t *testing.T) {
	const (
		ofAPI, ofLive = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
		parent        = "00-%s-00f067aa0ba902b7-01"
	)
	m := &many{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	m.place.migrate()
	one := m.start()
	m.start()
	m.serve(2)
	rider := ""
	for i := 0; rider == ""; i++ {
		who := fmt.Sprint("rider-", i)
		if m.status(one, "--owner", "user/"+who).Owner.Public == m.nodes[1].url {
			rider = who
		}
	}

	register := connect.NewRequest(&managev1.RegisterUserRequest{
		UserId: rider, Profile: &userv1.Profile{Handle: rider, Name: "Rider", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}})
	register.Header().Set("Traceparent", fmt.Sprintf(parent, ofAPI))
	answer, err := manage(t, one, filepath.Join(m.dir, "all")).users.RegisterUser(t.Context(), register)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Header().Get("Trace-Id"); got != ofAPI {
		t.Errorf("the answer names trace %q", got)
	}
	m.traced(id.Of(id.User, rider), ofAPI)

	code, token, errs := paceline(t, "token", "athlete:"+rider, "--data-dir", filepath.Join(m.dir, "all"))
	if code != 0 {
		t.Fatal(errs)
	}
	live := talkTraced(t, one, fmt.Sprintf(parent, ofLive))
	live.say(fmt.Sprintf(`{"hello":{"client":"test","token":%q}}`, strings.TrimSpace(token)), "welcome")
	result := live.say(fmt.Sprintf(`{"command":{"command_id":%q,"workout_id":"w1","start_workout":{"sport":"run","zone":"Etc/UTC","device_time_ms":"%d"}}}`,
		m.connect(0).NewID(), time.Now().UnixMilli()), "command_result")
	if result["error"] != nil {
		t.Fatal(result)
	}
	m.traced(id.Scoped(id.Training, rider, "w1"), ofLive)
}

// traced: the grain lives on the second node only, and its first event has that trace.
func (m *many) traced(g id.Grain, trace string) {
	m.t.Helper()
	if o := m.status(m.nodes[0], "--owner", g.String()).Owner; o.Public != m.nodes[1].url || !o.Active {
		m.t.Fatalf("%v lives at %v", g, o)
	}
	records, _, err := m.nodes[1].node.runtime.Store.ReadJournal(m.t.Context(), g, 0, 1)
	if err != nil || len(records) == 0 {
		m.t.Fatalf("%v: %d events, %v", g, len(records), err)
	}
	if got := records[0].Meta.Trace; got != trace {
		m.t.Errorf("the first event of %v has trace %q, want %q", g, got, trace)
	}
}

// talkTraced is talkTo by a client that names its trace.
func talkTraced(t *testing.T, s serving, parent string) *talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+"/live", &websocket.DialOptions{
		Subprotocols: []string{"paceline.v1.json"}, HTTPHeader: map[string][]string{"Traceparent": {parent}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &talk{t, conn}
}

// breaks is a grain that cannot bear a message.
type breaks struct{}

func (breaks) Step(_ step.Now, msg any, _ step.Return) []step.Out {
	if _, ok := msg.(*userv1.Get); ok {
		panic("no")
	}
	return nil
}

// TestAGrainThatBreaksNamesTheTrace: that of the message under way, also of a question, which has it in its header only.
func TestAGrainThatBreaksNamesTheTrace(t *testing.T) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	defer system.Shutdown()
	log := &output{}
	rt := &machine.Runtime{Now: func() step.Now { return step.Now{} }, Log: slog.New(slog.NewTextHandler(log, nil))}
	answered := make(chan error, 1)
	pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return newGrain(rt, id.Of(id.User, "ann"), breaks{}, func(_ step.Return, _ any, err error) { answered <- err })
	}))
	asker := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	system.Root.Send(pid, &actor.MessageEnvelope{Header: map[string]string{call.HeaderTrace: "of-a-question"}, Message: &userv1.Get{}, Sender: asker})
	if err := <-answered; !errors.Is(err, machine.ErrStopped) {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "trace=of-a-question") {
		t.Errorf("logged %s", log)
	}
}
