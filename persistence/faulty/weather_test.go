package faulty

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"paceline/persistence"
	"paceline/persistence/memory"
)

func TestWeather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := Over(memory.New())
		part := persistence.Part{Table: persistence.TableSeries, Key: "p"}
		put := func(ctx context.Context, key string) error {
			return r.Put(ctx, []persistence.Mutation{{Part: part, Row: persistence.Row{Cluster: key, Cell: []byte("x")}}})
		}
		there := func(key string) bool {
			_, ok, err := r.Rows.Get(t.Context(), part, key)
			return err == nil && ok
		}
		began := time.Now()
		r.Set(Weather{Delay: 3 * time.Second})
		if err := put(t.Context(), "slow"); err != nil || time.Since(began) != 3*time.Second || !there("slow") {
			t.Fatalf("a slow store: %v after %v", err, time.Since(began))
		}
		r.Set(Weather{Away: true})
		if _, _, err := r.Get(t.Context(), part, "slow"); !errors.Is(err, persistence.ErrUnavailable) {
			t.Fatalf("a read of a store that is away: %v", err)
		}
		if err := put(t.Context(), "away"); !errors.Is(err, persistence.ErrUnavailable) || there("away") {
			t.Fatalf("a write to a store that is away: %v", err)
		}
		r.Set(Weather{Hangs: true})
		patient := make(chan error, 1)
		go func() { patient <- put(t.Context(), "patient") }()
		synctest.Wait()
		carriedOut := 0
		for _, key := range []string{"a", "b", "c", "d"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := put(ctx, key); !errors.Is(err, persistence.ErrUnknown) {
				t.Fatalf("a write that nobody answers: %v", err)
			}
			cancel()
			if there(key) {
				carriedOut++
			}
		}
		if carriedOut != 2 {
			t.Errorf("%d of 4 writes without an answer were carried out, want half", carriedOut)
		}
		r.Set(Weather{})
		if err := <-patient; err != nil || !there("patient") {
			t.Errorf("a write that has waited for better weather: %v", err)
		}
	})
}
