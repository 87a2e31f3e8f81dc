package replica

import (
	"context"
	"errors"
	"sync"

	"paceline/domain/id"
	"paceline/persistence"
)

// watched counts how appends without an outcome are decided. It changes nothing.
type watched struct {
	persistence.Store
	say func(format string, args ...any)

	mu   sync.Mutex
	open map[id.Grain]string // append id without an outcome
}

func watch(s persistence.Store, say func(string, ...any)) *watched {
	return &watched{Store: s, say: say, open: make(map[id.Grain]string)}
}

// Append implements persistence.Journal.
func (w *watched) Append(ctx context.Context, a persistence.Append) (bool, persistence.Head, error) {
	applied, head, err := w.Store.Append(ctx, a)
	w.mu.Lock()
	defer w.mu.Unlock()
	open := w.open[a.Grain] == a.AppendID
	switch {
	case errors.Is(err, persistence.ErrUnknown):
		if !open {
			w.say("outcome unknown")
		}
		w.open[a.Grain] = a.AppendID
	case err == nil && open:
		delete(w.open, a.Grain)
		switch {
		case applied:
			w.say("outcome absent")
		case head.AppendID == a.AppendID:
			w.say("outcome late")
		default:
			w.say("outcome overtaken")
		}
	}
	return applied, head, err
}

// Head implements persistence.Journal.
func (w *watched) Head(ctx context.Context, g id.Grain) (persistence.Head, error) {
	head, err := w.Store.Head(ctx, g)
	w.mu.Lock()
	defer w.mu.Unlock()
	if open := w.open[g]; err == nil && open != "" && head.AppendID == open {
		delete(w.open, g)
		w.say("outcome there")
	}
	return head, err
}
