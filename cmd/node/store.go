package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"paceline/persistence"
	"paceline/persistence/cql"
	"paceline/persistence/cql/schema"
	"paceline/persistence/embedded"
	"paceline/persistence/memory"
	"paceline/persistence/sealed"
)

// store is what is kept, and how: rows, sealed.
type store struct {
	rows   *sealed.Rows
	under  persistence.Rows
	folder folder
	fresh  bool                                // nothing was ever written into it
	raise  func(name string, format int) error // lets releases that cannot read it refuse; nil: nobody would look
	first  func(context.Context) error         // comes before the first write; nil: nothing does
	full   func() (sinceMs int64, free uint64) // since when its disk has had too little room for writes; 0: it has enough
	close  func() error
}

// roomy is a store without a disk of its own.
func roomy() (sinceMs int64, free uint64) { return 0, 0 }

// volatile is the folder of a memory store.
type volatile struct{}

func (volatile) GetMeta(string) ([]byte, bool, error) { return nil, false, nil }
func (volatile) PutMeta(string, []byte) error         { return nil }

// openStore opens the rows and puts the seal in front of them. What is wrong is found before anything is made, as far
// as it can be: a key above all, for a fresh one beside data that was sealed with another only hides what was lost.
func openStore(ctx context.Context, s settings, log *slog.Logger) (*store, error) {
	wrapping, err := sealed.LoadWrappingKey(s.wrappingKeyFile())
	lost := errors.Is(err, fs.ErrNotExist)
	if err != nil && !lost {
		return nil, err
	}
	st, err := openRows(ctx, s, log)
	if err != nil {
		return nil, err
	}
	if st.full == nil {
		st.full = roomy
	}
	if s.before != nil {
		st.under = s.before(st.under)
	}
	begun, err := sealed.Begun(ctx, st.under)
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	st.fresh = !begun
	if st.first != nil && (st.fresh || !lost) {
		if err := st.first(ctx); err != nil {
			return nil, errors.Join(err, st.close())
		}
	}
	if lost {
		if wrapping, err = s.firstWrappingKey(ctx, st.under); err != nil {
			return nil, errors.Join(err, st.close())
		}
	}
	if st.rows, err = sealed.New(ctx, st.under, sealed.Config{Wrapping: wrapping}); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// firstWrappingKey makes the key of a store that has none yet.
func (s settings) firstWrappingKey(ctx context.Context, rows persistence.Rows) (sealed.WrappingKey, error) {
	begun, err := sealed.Begun(ctx, rows)
	if err != nil {
		return sealed.WrappingKey{}, err
	}
	if begun {
		return sealed.WrappingKey{}, fmt.Errorf("the wrapping key %s is not there, and this data was sealed with one: put it back (--keys-dir), a new one cannot open what is stored", s.wrappingKeyFile())
	}
	if err := os.MkdirAll(s.keysDir(), 0o700); err != nil {
		return sealed.WrappingKey{}, fmt.Errorf("keys folder: %w", err)
	}
	return sealed.LoadOrCreateWrappingKey(s.wrappingKeyFile())
}

func openRows(ctx context.Context, s settings, log *slog.Logger) (*store, error) {
	switch s.Store {
	case "memory":
		return &store{under: memory.New(), folder: volatile{}, close: func() error { return nil }}, nil
	case storeCQL:
		return openCQL(ctx, s.cqlSettings, log)
	}
	cfg := s.embedded()
	cfg.Log = log
	rows, err := embedded.Open(ctx, cfg)
	if errors.Is(err, embedded.ErrInUse) {
		return nil, fmt.Errorf("the data folder %s is in use by another process", s.DataDir)
	}
	if err != nil {
		return nil, err
	}
	return &store{under: rows, folder: rows, full: rows.Full, raise: rows.Raise, close: rows.Close}, nil
}

// startWithin is how long the servers may take to say that they are the right ones.
const startWithin = 15 * time.Second

// openCQL serves on a keyspace only if it is at this binary's schema.
func openCQL(ctx context.Context, s cqlSettings, log *slog.Logger) (*store, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	driver, err := s.driver()
	if err != nil {
		return nil, err
	}
	driver.Log = log
	set, err := schema.Embedded()
	if err != nil {
		return nil, err
	}
	found, err := set.Check(ctx, s.target(driver))
	if err != nil {
		return nil, err
	}
	for _, w := range found.Warnings {
		log.Warn(w)
	}
	rows, err := cql.Open(ctx, driver)
	if err != nil {
		return nil, err
	}
	st := &store{under: rows, folder: control{rows}, close: rows.Close}
	if found.Through == "" { // the first node
		st.first = func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, startWithin)
			defer cancel()
			return s.target(driver).Keep(ctx, found.Datacenter, whoMigrates(), time.Now())
		}
	}
	return st, nil
}

// control is the folder of a store that several processes reach: of two that put a value at the same time one wins.
type control struct{ rows persistence.Rows }

// controlWithin is for one value, at the start.
const controlWithin = 10 * time.Second

func controlPart(name string) persistence.Part {
	return persistence.Part{Table: persistence.TableControl, Key: (&persistence.Key{}).Str("meta").Str(name).String()}
}

// GetMeta implements folder.
func (c control) GetMeta(name string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), controlWithin)
	defer cancel()
	// At SERIAL first: a value whose writer has died in the middle is then decided, one way or the other.
	if _, err := c.rows.Head(ctx, controlPart(name)); err != nil {
		return nil, false, err
	}
	return c.rows.Get(ctx, controlPart(name), "")
}

// PutMeta implements folder. It never replaces a value.
func (c control) PutMeta(name string, value []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), controlWithin)
	defer cancel()
	applied, _, err := c.rows.PutIf(ctx, controlPart(name), 0, persistence.Head{Version: 1, AppendID: name}, []persistence.Row{{Cell: value}})
	if err == nil && !applied {
		return errThere
	}
	return err
}

// errThere: somebody else has put the value first; what he put holds.
var errThere = errors.New("it is there already")
