package cql

import (
	"context"
	"time"

	"github.com/gocql/gocql"
)

// Migrating makes sessions for cql/schema: as Connect does, with time for a server to make a table.
func Migrating(cfg Config, within time.Duration) func(context.Context) (*gocql.Session, error) {
	cfg.Timeout, cfg.Connections = within, 1
	return func(ctx context.Context) (*gocql.Session, error) {
		s, err := Connect(ctx, cfg)
		return s.Session, err
	}
}
