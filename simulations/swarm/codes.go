package swarm

import (
	"context"
	"log/slog"
	"maps"
	"sync"
)

// Codes counts what nodes have refused clients, by code: a handler of the clients' logs. What a node says may be tried
// again is counted apart.
type Codes struct {
	mu           sync.Mutex
	later, never map[string]int
}

var _ slog.Handler = (*Codes)(nil)

// Counts are the refusals so far: those that a client tries again by itself, and those that it cannot.
func (c *Codes) Counts() (later, never map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.later), maps.Clone(c.never)
}

// Enabled implements slog.Handler.
func (c *Codes) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (c *Codes) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup implements slog.Handler.
func (c *Codes) WithGroup(string) slog.Handler { return c }

// Handle implements slog.Handler.
func (c *Codes) Handle(_ context.Context, r slog.Record) error {
	code, again := "", false
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "code":
			code = a.Value.String()
		case "retry":
			again = a.Value.Bool()
		}
		return true
	})
	if code == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.later == nil {
		c.later, c.never = map[string]int{}, map[string]int{}
	}
	if again {
		c.later[code]++
	} else {
		c.never[code]++
	}
	return nil
}
