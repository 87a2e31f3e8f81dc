package memory_test

import (
	"context"
	"testing"

	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/persistence/persistencetest"
)

func TestMemory(t *testing.T) {
	persistencetest.Run(t, func(testing.TB) persistence.Rows { return memory.New() })
}

func TestCloneIsIndependent(t *testing.T) {
	ctx := context.Background()
	p := persistence.Part{Table: persistence.TableView, Key: "p"}
	put := func(r *memory.Rows, cluster, cell string) {
		t.Helper()
		if err := r.Put(ctx, []persistence.Mutation{{Part: p, Row: persistence.Row{Cluster: cluster, Cell: []byte(cell)}}}); err != nil {
			t.Fatal(err)
		}
	}
	a := memory.New()
	put(a, "x", "1")
	b := a.Clone()
	put(a, "x", "2")
	put(a, "y", "3")
	put(b, "z", "4")
	if cell, _, _ := b.Get(ctx, p, "x"); string(cell) != "1" {
		t.Errorf("the copy sees %q, want 1", cell)
	}
	if a.Len(persistence.TableView) != 2 || b.Len(persistence.TableView) != 2 {
		t.Errorf("%d and %d rows, want 2 and 2", a.Len(persistence.TableView), b.Len(persistence.TableView))
	}
}
