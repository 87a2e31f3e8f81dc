package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"paceline/persistence"
	"paceline/persistence/embedded"
	"paceline/persistence/memory"
	"paceline/persistence/sealed"
)

// store is what is kept, and how: rows, sealed.
type store struct {
	rows   *sealed.Rows
	folder folder
	close  func() error
}

// volatile is the folder of a memory store.
type volatile struct{}

func (volatile) GetMeta(string) ([]byte, bool, error) { return nil, false, nil }
func (volatile) PutMeta(string, []byte) error         { return nil }

// openStore opens the rows and puts the seal in front of them.
func openStore(ctx context.Context, s settings, log *slog.Logger) (*store, error) {
	if err := os.MkdirAll(s.keysDir(), 0o700); err != nil {
		return nil, fmt.Errorf("keys folder: %w", err)
	}
	wrapping, err := sealed.LoadOrCreateWrappingKey(s.wrappingKeyFile())
	if err != nil {
		return nil, err
	}
	st := &store{folder: volatile{}, close: func() error { return nil }}
	var under persistence.Rows
	if s.Store == "memory" {
		under = memory.New()
	} else {
		cfg := s.embedded()
		cfg.Log = log
		rows, err := embedded.Open(cfg)
		if errors.Is(err, embedded.ErrInUse) {
			return nil, fmt.Errorf("the data folder %s is in use by another process", s.DataDir)
		}
		if err != nil {
			return nil, err
		}
		under, st.folder, st.close = rows, rows, rows.Close
	}
	if st.rows, err = sealed.New(ctx, under, sealed.Config{Wrapping: wrapping}); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}
