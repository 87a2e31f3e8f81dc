package view

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/persistence"
)

// Kinds are the kinds of grains that views are made from, and what the views of each are called together. They are
// rebuilt together, because one projection writes them behind one cursor.
var Kinds = map[id.Kind]string{id.Competition: "competitions", id.Training: "trainings", id.User: "people"}

// Plan says which generation of a kind's views is read, which is being made beside it, and how far that is. The zero
// Plan is that of a store whose views were never rebuilt.
type Plan struct {
	Serving  uint64 `json:",omitempty"` // what readers read; always written
	Building uint64 `json:",omitempty"` // 0: none. Written too, read by nobody
	Last     uint64 `json:",omitempty"` // the highest number that was ever given; none is given twice
	After    []byte `json:",omitempty"` // where the scan of the journals, or of what is to be deleted, goes on
	Grains   uint64 `json:",omitempty"` // taken by this rebuild so far
	Deleting bool   `json:",omitempty"` // all generations but Serving are being deleted
	Version  uint64 `json:",omitempty"` // of the plan itself
}

// Writes are the generations that take events, the one that is read first.
func (p Plan) Writes() []uint64 {
	if p.Building == 0 {
		return []uint64{p.Serving}
	}
	return []uint64{p.Serving, p.Building}
}

// ErrPlanTaken: somebody else has changed the plan since it was read.
var ErrPlanTaken = fault.New(fault.Conflict, "views.rebuild_taken", "Another rebuild of these views is under way, or has just gone on.")

// planAge is how long a reader may go by a plan without looking again. What a plan has ceased to serve must stay for
// longer than this and a request's deadline together.
const planAge = time.Second

// HoldPlans says how long a plan is gone by without looking again, if not a second: tests need it long.
func (t *Tables) HoldPlans(d time.Duration) { t.planAge = d }

const planRow = "plan"

func planPart(k id.Kind) persistence.Part {
	return persistence.Part{Table: persistence.TableControl, Key: (&persistence.Key{}).Str("views").Str(string(k)).String()}
}

type heldPlan struct {
	plan Plan
	till time.Time
}

// Plan is the plan of a kind, at most a second old.
func (t *Tables) Plan(ctx context.Context, k id.Kind) (Plan, error) {
	if h, ok := t.plans.Load(k); ok && time.Now().Before(h.(heldPlan).till) {
		return h.(heldPlan).plan, nil
	}
	return t.LookAtPlan(ctx, k)
}

// LookAtPlan reads the plan of a kind. A change of it that was answered before the call is in it.
func (t *Tables) LookAtPlan(ctx context.Context, k id.Kind) (Plan, error) {
	if h, ok := t.plans.Load(k); ok && !t.shared {
		return h.(heldPlan).plan, nil // who changes it does so through these Tables
	}
	l, _ := t.looks.LoadOrStore(k, &looks{})
	return l.(*looks).ask(ctx, func(ctx context.Context) (Plan, error) { return t.readPlan(ctx, k) })
}

func (t *Tables) readPlan(ctx context.Context, k id.Kind) (Plan, error) {
	cell, _, err := t.rows.Get(ctx, planPart(k), planRow)
	if err != nil {
		return Plan{}, fmt.Errorf("plan of the views of %ss: %w", k, err)
	}
	var p Plan
	if len(cell) > 0 {
		if err := decode(cell, &p); err != nil {
			return Plan{}, err
		}
	}
	t.hold(k, p)
	return p, nil
}

// hold keeps a plan that was read, unless a newer one is held, and tells who must know that other rows are read now.
func (t *Tables) hold(k id.Kind, p Plan) {
	now := heldPlan{p, time.Now().Add(t.planAge)}
	before, held := t.plans.Load(k)
	if held && before.(heldPlan).plan.Version > p.Version {
		return
	}
	t.plans.Store(k, now)
	if held && before.(heldPlan).plan.Serving != p.Serving {
		t.tell(Touch{Kind: k})
	}
}

// ChangePlan replaces a plan that was read by LookAtPlan: one conditional write, so that of two who try one wins.
// token tells the attempts of all processes apart.
func (t *Tables) ChangePlan(ctx context.Context, k id.Kind, from, to Plan, token string) (Plan, error) {
	to.Version = from.Version + 1
	cell, err := json.Marshal(to)
	if err != nil {
		return Plan{}, fmt.Errorf("plan of views: %w", err)
	}
	head := persistence.Head{Version: to.Version, AppendID: token + "/" + strconv.FormatUint(to.Version, 10)}
	applied, current, err := t.rows.PutIf(ctx, planPart(k), from.Version, head, []persistence.Row{{Cluster: planRow, Cell: cell}})
	if unknown := errors.Is(err, persistence.ErrUnknown); unknown {
		current, err = t.rows.Head(ctx, planPart(k))
		if err == nil && current.Version == from.Version { // not yet, or never: the caller looks again
			err = persistence.ErrUnknown
		}
	}
	if err != nil {
		return Plan{}, fmt.Errorf("plan of the views of %ss: %w", k, err)
	}
	if !applied && current != head {
		return Plan{}, ErrPlanTaken.With("version %d, not %d", current.Version, from.Version)
	}
	t.hold(k, to)
	return to, nil
}

// generation names the partitions of one generation of the views.
type generation string

// generationOf is empty for the first generation: its keys carry no number.
func generationOf(n uint64) generation {
	if n == 0 {
		return ""
	}
	return generation("@" + strconv.FormatUint(n, 10))
}

func (g generation) part(table string, keys ...string) persistence.Part {
	k := (&persistence.Key{}).Str(table + string(g))
	for _, s := range keys {
		k.Str(s)
	}
	return persistence.Part{Table: persistence.TableView, Key: k.String()}
}

// home is the partition that holds a grain's cursor and everything that its projection reads: what is written there
// together becomes visible together.
func (g generation) home(of id.Grain) persistence.Part {
	return g.part(tableGrain, string(of.Kind), of.ID)
}

// kindOf is the kind of grain that a partition is made from, and its generation; "" for a table of a later release.
func kindOf(key string) (k id.Kind, gen uint64, err error) {
	r := persistence.ReadKey(key)
	table, number, numbered := strings.Cut(r.Str(), "@")
	if numbered {
		gen, err = strconv.ParseUint(number, 10, 64)
	}
	if table == tableGrain || table == oldCursor {
		k = id.Kind(r.Str())
	} else {
		k = tableKinds[table]
	}
	if r.Bad() || err != nil {
		return "", 0, fmt.Errorf("%w: key of a view", persistence.ErrCorrupt)
	}
	return k, gen, nil
}

// DeleteOthers deletes partitions of a kind's views that are of no generation in keep, going over at most limit
// partitions after a token; next is "" at the end. It needs a driver that can be scanned.
func (t *Tables) DeleteOthers(ctx context.Context, k id.Kind, keep []uint64, after string, limit int) (deleted int, next string, err error) {
	scan, ok := t.rows.(persistence.Scanner)
	if !ok {
		return 0, "", persistence.ErrNoScan
	}
	keys, err := scan.Parts(ctx, persistence.TableView, after, limit)
	if err != nil {
		return 0, "", fmt.Errorf("list views: %w", err)
	}
	for _, key := range keys {
		kind, gen, err := kindOf(key)
		if err != nil {
			return deleted, "", err
		}
		if kind != k || gen == keep[0] || gen == keep[len(keep)-1] {
			continue
		}
		if err := t.rows.DeleteRange(ctx, persistence.Part{Table: persistence.TableView, Key: key}, "", ""); err != nil {
			return deleted, "", fmt.Errorf("delete an old view: %w", err)
		}
		deleted++
	}
	if len(keys) < limit {
		return deleted, "", nil
	}
	return deleted, keys[len(keys)-1], nil
}
