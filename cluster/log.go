package cluster

import (
	"context"
	"log/slog"
)

// warnings is the runtime's view of our log: its INFO and DEBUG say nothing that an operator needs.
func warnings(log *slog.Logger) *slog.Logger {
	return slog.New(fromWarn{log.Handler()}).With("lib", "proto.actor")
}

type fromWarn struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h fromWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h fromWarn) WithAttrs(a []slog.Attr) slog.Handler { return fromWarn{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h fromWarn) WithGroup(name string) slog.Handler { return fromWarn{h.Handler.WithGroup(name)} }
