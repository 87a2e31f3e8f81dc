package view

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"

	"paceline/domain/id"
	"paceline/persistence"
)

// Change collects the rows that follow from some events of one grain, and writes them with the grain's cursor. Reads
// through it see what it has collected. It is for one goroutine.
//
// It reads nothing but the grain's own partition, where the cursor lies too; everything else it writes without
// reading. So what it writes is a function of the journal through the version that it is committed with, whoever
// computes it, and the stamp (that version) lets the newer of two writers hold.
type Change struct {
	t     *Tables
	in    generation
	gen   uint64
	grain id.Grain
	muts  []persistence.Mutation
	// index of the last mutation of a row in muts
	last map[rowName]int
	read bool // anything of the store
	// rows that were read: many events of a race ask for the same one
	found map[rowName]found
	touch Touch
	err   error
}

// found is a row as it was read; nil: there is none.
type found struct{ cell []byte }

type rowName struct{ part, cluster string }

// Begin begins a change for a grain, in the generation that is read.
func (t *Tables) Begin(ctx context.Context, g id.Grain) *Change {
	p, err := t.Plan(ctx, g.Kind)
	c := t.BeginIn(g, p.Serving)
	c.err = err
	return c
}

// BeginIn begins a change in one generation.
func (t *Tables) BeginIn(g id.Grain, gen uint64) *Change {
	return &Change{t: t, in: generationOf(gen), gen: gen, grain: g, last: make(map[rowName]int), touch: Touch{Kind: g.Kind, Grain: g}}
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
	f, known := c.found[rowName{p.Key, cluster}]
	if !known {
		cell, there, err := c.t.rows.Get(ctx, p, cluster)
		if err != nil {
			return v, false, err
		}
		if there {
			f.cell = append([]byte{}, cell...)
		}
		if c.found == nil {
			c.found = make(map[rowName]found)
		}
		c.found[rowName{p.Key, cluster}] = f
		c.read = true
	}
	if f.cell == nil {
		return v, false, nil
	}
	err = decode(f.cell, &v)
	return v, err == nil, err
}

// Commit writes the rows and the cursor. What was collected is then durable, and the cursor never lies ahead of it:
// where rows of different partitions become visible one after the other, the grain's own partition comes last.
func (c *Change) Commit(ctx context.Context, through uint64) error {
	if c.err != nil {
		return c.err
	}
	home := c.in.home(c.grain)
	c.set(persistence.Mutation{Part: home, Row: persistence.Row{Cluster: rowCursor, Cell: binary.AppendUvarint(nil, through)}})
	for i := range c.muts {
		c.muts[i].Stamp = through
	}
	if err := c.write(ctx, home.Key); err != nil {
		return fmt.Errorf("views of %v through %d: %w", c.grain, through, err)
	}
	if p, err := c.t.Plan(ctx, c.grain.Kind); err == nil && p.Serving != c.gen {
		return nil // nobody reads it
	}
	c.touch.Through = through
	c.t.tell(c.touch)
	c.t.reached(c.grain, through)
	return nil
}

// atOnce bounds the partitions of one change that are written at the same time.
const atOnce = 16

func (c *Change) write(ctx context.Context, home string) error {
	if !c.t.shared {
		return c.t.rows.Put(ctx, c.muts)
	}
	parts := make(map[string][]persistence.Mutation)
	var order []string
	for _, m := range c.muts {
		if m.Part.Key != home && parts[m.Part.Key] == nil {
			order = append(order, m.Part.Key)
		}
		parts[m.Part.Key] = append(parts[m.Part.Key], m)
	}
	if err := c.others(ctx, order, parts); err != nil {
		return err
	}
	return c.t.rows.Put(ctx, parts[home])
}

// others writes the partitions beside the grain's own: all of them, or an error.
func (c *Change) others(ctx context.Context, order []string, parts map[string][]persistence.Mutation) error {
	if len(order) <= 1 {
		for _, key := range order {
			return c.t.rows.Put(ctx, parts[key])
		}
		return nil
	}
	errs := make([]error, len(order))
	lane := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, key := range order {
		lane <- struct{}{}
		wg.Go(func() {
			defer func() { <-lane }()
			errs[i] = c.t.rows.Put(ctx, parts[key])
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the rest is written again with it
		}
	}
	return nil
}

// Still reports whether the grain's cursor is at through: what was read since it was read there belongs together. On
// a driver of one process the caller's lock says so, and where nothing was read nothing can be of two versions.
func (c *Change) Still(ctx context.Context, through uint64) (bool, error) {
	if !c.t.shared || !c.read {
		return true, nil
	}
	now, err := c.t.CursorIn(ctx, c.grain, c.gen)
	return now == through, err
}

// Competition reads a race as it will be after the change.
func (c *Change) Competition(ctx context.Context, competition string) (Competition, bool, error) {
	return read[Competition](ctx, c, c.in.home(id.Of(id.Competition, competition)), rowRace)
}

func (g generation) dayRow(r *Competition) (days, day persistence.Part, dayCluster, cluster string) {
	d := dayOf(r.ScheduledAt)
	return g.part(tableDays, r.OrganizationID), g.part(tableDay, r.OrganizationID, d, r.State),
		d + r.State, (&persistence.Key{}).I64(int64(r.ScheduledAt)).Str(r.ID).String()
}

// PutCompetition replaces a race and moves its row in the lists.
func (c *Change) PutCompetition(ctx context.Context, r Competition) error {
	before, ok, err := c.Competition(ctx, r.ID)
	if err != nil {
		return err
	}
	if ok {
		_, day, _, cluster := c.in.dayRow(&before)
		c.delete(day, cluster)
	}
	c.touch.Organizations = touched(c.touch.Organizations, r.OrganizationID)
	c.put(c.in.home(id.Of(id.Competition, r.ID)), rowRace, r)
	days, day, dayCluster, cluster := c.in.dayRow(&r)
	c.put(days, dayCluster, true)
	c.put(day, cluster, r)
	return nil
}

// PutDefinition keeps what a race was created with.
func (c *Change) PutDefinition(competition string, definition []byte) {
	c.set(persistence.Mutation{Part: c.in.part(tableDefinition, competition), Row: persistence.Row{Cell: definition}})
}

// Entry reads a roster row as it will be after the change.
func (c *Change) Entry(ctx context.Context, competition string, entry uint32) (RosterEntry, bool, error) {
	return read[RosterEntry](ctx, c, c.in.home(id.Of(id.Competition, competition)), entryKey(entry))
}

// PutEntry replaces a roster row.
func (c *Change) PutEntry(competition string, e RosterEntry) {
	c.put(c.in.home(id.Of(id.Competition, competition)), entryKey(e.Entry), e)
	c.put(c.in.part(tableEntryOf, competition), e.UserID, e.Entry)
}

// PutPerson replaces how somebody is shown. The row of an older handle stays: a look-up checks it.
func (c *Change) PutPerson(p Person) {
	c.put(sealed(p.UserID, c.in.home(id.Of(id.User, p.UserID))), rowPerson, p)
	if p.Handle != "" {
		c.put(c.in.part(tableHandle, c.t.blind(normalHandle(p.Handle))), p.UserID, true)
	}
}

// PutResult adds a version of a result.
func (c *Change) PutResult(r Result) {
	c.put(c.in.part(tableResult, r.Competition), versionKey(r.Version), r)
}

// PutResultPart adds a page of a result that is in parts: competition.v1.ResultPublished with some of its rows.
func (c *Change) PutResultPart(competition string, version, part uint32, page []byte) {
	c.set(persistence.Mutation{Part: c.in.resultPart(competition, version, part), Row: persistence.Row{Cell: page}})
}

// Roster maps every entry's number to its person, as it will be after the change.
func (c *Change) Roster(ctx context.Context, competition string) (map[uint32]string, error) {
	home := c.in.home(id.Of(id.Competition, competition))
	c.read = true
	rows, err := c.t.rows.Range(ctx, home, persistence.Range{From: rowEntry, To: rowEntryEnd})
	if err != nil {
		return nil, err
	}
	users := make(map[uint32]string, len(rows))
	take := func(cell []byte) error {
		var e RosterEntry
		if err := decode(cell, &e); err != nil {
			return err
		}
		users[e.Entry] = e.UserID
		return nil
	}
	for i := range rows {
		if err := take(rows[i].Cell); err != nil {
			return nil, err
		}
	}
	for i := range c.muts {
		m := &c.muts[i]
		if m.Part.Key == home.Key && m.Row.Cluster >= rowEntry && m.Row.Cluster < rowEntryEnd {
			if err := take(m.Row.Cell); err != nil {
				return nil, err
			}
		}
	}
	return users, nil
}

// PutUserResult replaces a person's row of a competition. At must not change between versions.
func (c *Change) PutUserResult(r UserResult) {
	c.touch.Users = touched(c.touch.Users, r.UserID)
	c.put(c.in.part(tableUserResult, r.UserID), newestFirst(r.At, r.Competition), r)
}

// PutFeed adds an entry to a competition's feed.
func (c *Change) PutFeed(competition string, e FeedEntry) {
	cell := binary.AppendUvarint(nil, uint64(len(e.Kind)))
	cell = append(append(cell, e.Kind...), e.Bytes...)
	c.set(persistence.Mutation{Part: c.in.feedPart(competition, e.Version), Row: persistence.Row{Cluster: u64Key(e.Version), Cell: cell}})
}

// Training reads a workout as it will be after the change.
func (c *Change) Training(ctx context.Context, training string) (Training, bool, error) {
	g := id.Grain{Kind: id.Training, ID: training}
	return read[Training](ctx, c, sealed(g.Affinity(), c.in.home(g)), rowTraining)
}

// PutTraining replaces a workout in its person's list and lets its local id be found. A training starts once, so
// its place in the list does not move.
func (c *Change) PutTraining(r Training) {
	g := id.Grain{Kind: id.Training, ID: r.ID}
	c.put(sealed(g.Affinity(), c.in.home(g)), rowTraining, r)
	list := c.in.part(tableTraining, g.Affinity(), MonthOf(r.StartedAt, r.UTCOffsetS))
	c.put(sealed(g.Affinity(), list), newestFirst(r.StartedAt, g.Local()), r)
	c.put(c.in.part(tableWorkout, g.Local()), r.ID, r.ID) // two people may have used one local id
}

func touched(names []string, name string) []string {
	if len(names) > 0 && names[len(names)-1] == name {
		return names
	}
	return append(names, name)
}
