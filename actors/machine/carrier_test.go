package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/persistence"
)

// failing is an operation that fails for good; asks is a stepper that asks for it.
type failing struct{ err error }

func (f failing) Run(context.Context, persistence.Store, persistence.EventStream) (any, error) {
	return nil, f.err
}

type asks struct{ err error }

func (a asks) Step(step.Now, any, step.Return) []step.Out {
	return []step.Out{persistence.Do{Tag: 1, Op: failing(a)}}
}

// A publication that no view takes is tried again for ever: somebody must be able to read why.
func TestAnErrorThatNoRepeatCanCureIsLogged(t *testing.T) {
	for err, want := range map[error]bool{
		errors.New("event 7 of kind 3: no such field"):     true,
		fmt.Errorf("away: %w", persistence.ErrUnavailable): false,
		fmt.Errorf("lost: %w", persistence.ErrUnknown):     false,
		fmt.Errorf("gone: %w", persistence.ErrErased):      false,
	} {
		var log bytes.Buffer
		lanes := NewLanes(LanesConfig{Workers: 1, Waiting: 1, Timeout: 1 << 30})
		done := make(chan any, 1)
		c := Carrier{
			Runtime: &Runtime{Lanes: lanes, Now: func() step.Now { return step.Now{} }, Log: slog.New(slog.NewTextHandler(&log, nil))},
			Grain:   id.Of(id.Competition, "c1"), Stepper: asks{err}, Post: func(msg any) { done <- msg },
		}
		c.Handle(StartMsg{}, nil)
		if d := (<-done).(persistence.Done); !errors.Is(d.Err, err) {
			t.Errorf("outcome %v", d.Err)
		}
		lanes.Close()
		if got := strings.Contains(log.String(), "competition/c1"); got != want {
			t.Errorf("%v: logged %v, want %v: %s", err, got, want, log.String())
		}
	}
}

type panics struct{}

func (panics) Step(step.Now, any, step.Return) []step.Out { panic("no") }

// TestALogNamesTraces: of the message at which a grain panics, and of what a failed operation carries, each once and not
// more than a line of the log holds.
func TestALogNamesTraces(t *testing.T) {
	var log bytes.Buffer
	c := Carrier{
		Runtime: &Runtime{Now: func() step.Now { return step.Now{} }, Log: slog.New(slog.NewTextHandler(&log, nil))},
		Grain:   id.Of(id.Competition, "c1"), Stepper: panics{}, Stop: func(step.Stop) {},
	}
	c.HandleOf("of-the-message", StartMsg{}, nil)
	if !strings.Contains(log.String(), "trace=of-the-message") {
		t.Errorf("logged %s", log.String())
	}
	var records []persistence.Record
	for i := range 3 * loggedTraces {
		records = append(records, persistence.Record{Meta: persistence.Meta{Trace: fmt.Sprint("t", i/2)}}, persistence.Record{})
	}
	for _, op := range []persistence.Op{persistence.AppendOp{Append: persistence.Append{Records: records}}, persistence.PublishOp{Records: records}} {
		if got := strings.Join(tracesOf(op), " "); got != "t0 t1 t2 t3 t4 t5 t6 t7" {
			t.Errorf("%T names %q", op, got)
		}
	}
	if got := tracesOf(persistence.PutSnapshotOp{}); got != nil {
		t.Errorf("a snapshot names %v", got)
	}
}
