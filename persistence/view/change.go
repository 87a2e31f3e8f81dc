package view

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"paceline/domain/id"
	"paceline/persistence"
)

// Change collects the rows that follow from some events of one grain, and writes them with the grain's cursor,
// whole or not at all. Reads through it see what it has collected. It is for one goroutine.
type Change struct {
	t     *Tables
	grain id.Grain
	muts  []persistence.Mutation
	// index of the last mutation of a row in muts
	last map[rowName]int
	err  error
}

type rowName struct{ part, cluster string }

// Begin begins a change for a grain.
func (t *Tables) Begin(g id.Grain) *Change {
	return &Change{t: t, grain: g, last: make(map[rowName]int)}
}

// Grain is whose events the change is about.
func (c *Change) Grain() id.Grain { return c.grain }

func (c *Change) set(m persistence.Mutation) {
	n := rowName{m.Part.Key, m.Row.Cluster}
	if i, ok := c.last[n]; ok {
		c.muts[i] = m
		return
	}
	c.last[n] = len(c.muts)
	c.muts = append(c.muts, m)
}

func (c *Change) put(p persistence.Part, cluster string, v any) {
	cell, err := json.Marshal(v)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("view of %v: %w", c.grain, err)
	}
	c.set(persistence.Mutation{Part: p, Row: persistence.Row{Cluster: cluster, Cell: cell}})
}

func (c *Change) delete(p persistence.Part, cluster string) {
	c.set(persistence.Mutation{Part: p, Row: persistence.Row{Cluster: cluster}, Delete: true})
}

// read is a row as it will be after the change.
func read[T any](ctx context.Context, c *Change, p persistence.Part, cluster string) (v T, ok bool, err error) {
	if i, changed := c.last[rowName{p.Key, cluster}]; changed {
		if c.muts[i].Delete {
			return v, false, nil
		}
		err = decode(c.muts[i].Row.Cell, &v)
		return v, err == nil, err
	}
	return one[T](ctx, c.t, p, cluster)
}

// Commit writes the rows and the cursor. What was collected is then durable.
func (c *Change) Commit(ctx context.Context, through uint64) error {
	if c.err != nil {
		return c.err
	}
	muts := append(c.muts, persistence.Mutation{
		Part: part(tableCursor, string(c.grain.Kind), c.grain.ID),
		Row:  persistence.Row{Cell: binary.AppendUvarint(nil, through)},
	})
	if err := c.t.rows.Put(ctx, muts); err != nil {
		return fmt.Errorf("views of %v through %d: %w", c.grain, through, err)
	}
	c.t.reached(c.grain, through)
	return nil
}

// Competition reads a race as it will be after the change.
func (c *Change) Competition(ctx context.Context, competition string) (Competition, bool, error) {
	return read[Competition](ctx, c, part(tableCompetition, competition), "")
}

func dayRow(r *Competition) (days, day persistence.Part, dayCluster, cluster string) {
	d := dayOf(r.ScheduledAt)
	return part(tableDays, r.OrganizationID), part(tableDay, r.OrganizationID, d, r.State),
		d + r.State, (&persistence.Key{}).I64(int64(r.ScheduledAt)).Str(r.ID).String()
}

// PutCompetition replaces a race and moves its row in the lists.
func (c *Change) PutCompetition(ctx context.Context, r Competition) error {
	before, ok, err := c.Competition(ctx, r.ID)
	if err != nil {
		return err
	}
	if ok {
		_, day, _, cluster := dayRow(&before)
		c.delete(day, cluster)
	}
	c.put(part(tableCompetition, r.ID), "", r)
	days, day, dayCluster, cluster := dayRow(&r)
	c.put(days, dayCluster, true)
	c.put(day, cluster, r)
	return nil
}

// PutDefinition keeps what a race was created with.
func (c *Change) PutDefinition(competition string, definition []byte) {
	c.set(persistence.Mutation{Part: part(tableDefinition, competition), Row: persistence.Row{Cell: definition}})
}

// Entry reads a roster row as it will be after the change.
func (c *Change) Entry(ctx context.Context, competition string, entry uint32) (RosterEntry, bool, error) {
	return read[RosterEntry](ctx, c, part(tableRoster, competition), entryKey(entry))
}

// PutEntry replaces a roster row.
func (c *Change) PutEntry(competition string, e RosterEntry) {
	c.put(part(tableRoster, competition), entryKey(e.Entry), e)
	c.put(part(tableEntryOf, competition), e.UserID, e.Entry)
}

// PutPerson replaces how somebody is shown. The row of an older handle stays: a look-up checks it.
func (c *Change) PutPerson(p Person) {
	c.put(sealed(p.UserID, part(tablePerson, p.UserID)), "", p)
	if p.Handle != "" {
		c.put(part(tableHandle, c.t.blind(normalHandle(p.Handle))), p.UserID, true)
	}
}

// PutResult adds a version of a result.
func (c *Change) PutResult(r Result) {
	c.put(part(tableResult, r.Competition), entryKey(r.Version), r)
}

// PutUserResult replaces a person's row of a competition. At must not change between versions.
func (c *Change) PutUserResult(r UserResult) {
	c.put(part(tableUserResult, r.UserID), newestFirst(r.At, r.Competition), r)
}

// PutFeed adds an entry to a competition's feed.
func (c *Change) PutFeed(competition string, e FeedEntry) {
	cell := binary.AppendUvarint(nil, uint64(len(e.Kind)))
	cell = append(append(cell, e.Kind...), e.Bytes...)
	c.set(persistence.Mutation{Part: feedPart(competition, e.Version), Row: persistence.Row{Cluster: u64Key(e.Version), Cell: cell}})
}

// trainingAt says where a training's row lies.
type trainingAt struct {
	Month   string
	Cluster []byte // not text: JSON must not touch it
}

func trainingAtPart(training string) persistence.Part {
	user := id.Grain{Kind: id.Training, ID: training}.Affinity()
	return sealed(user, part(tableTrainingAt, training))
}

// Training reads a workout as it will be after the change.
func (c *Change) Training(ctx context.Context, training string) (Training, bool, error) {
	at, ok, err := read[trainingAt](ctx, c, trainingAtPart(training), "")
	if err != nil || !ok {
		return Training{}, false, err
	}
	p := trainingAtPart(training)
	return read[Training](ctx, c, sealed(p.Subject, part(tableTraining, p.Subject, at.Month)), string(at.Cluster))
}

// PutTraining replaces a workout in its person's list and lets its local id be found. A training starts once, so
// its place in the list does not move.
func (c *Change) PutTraining(r Training) {
	g := id.Grain{Kind: id.Training, ID: r.ID}
	at := trainingAt{Month: MonthOf(r.StartedAt, r.UTCOffsetS), Cluster: []byte(newestFirst(r.StartedAt, g.Local()))}
	c.put(trainingAtPart(r.ID), "", at)
	c.put(sealed(g.Affinity(), part(tableTraining, g.Affinity(), at.Month)), string(at.Cluster), r)
	c.put(part(tableWorkout, g.Local()), "", r.ID)
}

// competitionCursor is the cursor of a competition.
func (t *Tables) competitionCursor(ctx context.Context, competition string) (uint64, error) {
	return t.Cursor(ctx, id.Of(id.Competition, competition))
}

// Clear forgets the rows of one grain and its cursor, so that they can be made anew from the journal. Readers
// see them missing meanwhile. Rows that other grains own (people, lists of other races) stay.
func (t *Tables) Clear(ctx context.Context, g id.Grain) error {
	through, err := t.Cursor(ctx, g)
	if err != nil {
		return err
	}
	c := t.Begin(g)
	switch g.Kind {
	case id.Competition:
		if err := c.clearCompetition(ctx, through); err != nil {
			return err
		}
	case id.User:
		c.delete(sealed(g.ID, part(tablePerson, g.ID)), "")
	case id.Training:
		at, ok, err := read[trainingAt](ctx, c, trainingAtPart(g.ID), "")
		if err != nil {
			return err
		}
		if ok {
			c.delete(sealed(g.Affinity(), part(tableTraining, g.Affinity(), at.Month)), string(at.Cluster))
		}
		c.delete(trainingAtPart(g.ID), "")
	case id.Device:
	}
	return c.Commit(ctx, 0)
}

func (c *Change) clearCompetition(ctx context.Context, through uint64) error {
	r, ok, err := c.Competition(ctx, c.grain.ID)
	if err != nil {
		return err
	}
	if ok {
		_, day, _, cluster := dayRow(&r)
		c.delete(day, cluster)
		entries, err := c.t.Roster(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c.delete(part(tableUserResult, e.UserID), newestFirst(r.Day(), r.ID))
		}
		c.delete(part(tableCompetition, r.ID), "")
		c.delete(part(tableDefinition, r.ID), "")
	}
	for _, p := range []persistence.Part{part(tableRoster, c.grain.ID), part(tableEntryOf, c.grain.ID), part(tableResult, c.grain.ID)} {
		if err := c.t.rows.DeleteRange(ctx, p, "", ""); err != nil {
			return err
		}
	}
	for block := uint64(0); block <= through/feedBlock; block++ {
		if err := c.t.rows.DeleteRange(ctx, feedPart(c.grain.ID, block*feedBlock), "", ""); err != nil {
			return err
		}
	}
	return nil
}
