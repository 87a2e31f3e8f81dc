package competition

import (
	"cmp"
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/unit"
)

// Starter is what entries and decisions say about one entry, without its times.
type Starter struct {
	Entry, Heat uint32
	Category    string
	GunAt       unit.InstantMs     // its own
	Bound       bool               // to a training
	Ruling      leaderboard.Status // by officials, or by withdrawing; 0: none
	Penalty     unit.DurationMs
	Review      []string // the race's own reasons
	Cleared     []string // reasons that do not count any more
	Disputed    bool     // late input, not decided
}

// Starters are all entries by number, as of the events applied so far.
func Starters(s *State) []Starter {
	all := make([]Starter, len(s.entries))
	for i, e := range s.entries {
		t := Starter{Entry: e.Number, Heat: e.Heat, Category: e.Category, GunAt: s.GunOf(e), Bound: e.Training != "",
			Ruling: e.Ruling, Penalty: e.Penalty, Cleared: e.Cleared, Disputed: e.Late}
		if e.Withdrawn && t.Ruling == 0 {
			t.Ruling = e.Ran
		}
		if slices.Contains(e.Review, ReasonLateInput) {
			t.Review = []string{ReasonLateInput}
		}
		all[i] = t
	}
	return all
}

// Standings is the result: a pure function of the definition, of what entries and decisions say, and of the inputs
// with their gates and flags. Nothing else enters a result, in no order.
func Standings(rulesVersion uint32, d Definition, cutoffAt unit.InstantMs, starters []Starter, inputs []Input) ([]Row, error) {
	if rulesVersion != RulesVersion {
		return nil, ErrRulesVersion.With("version %d", rulesVersion)
	}
	c, err := course.New(d.Track)
	if err != nil {
		return nil, err
	}
	return standings(c, d.RankBy, cutoffAt, starters, inputs), nil
}

func standings(c *course.Course, by leaderboard.Base, cutoffAt unit.InstantMs, starters []Starter, inputs []Input) []Row {
	of := make(map[uint32]Input, len(inputs))
	for _, in := range inputs {
		of[in.Entry] = in
	}
	rows := make(map[uint32]Row, len(starters))
	all := make([]leaderboard.Contender, len(starters))
	for i, t := range starters {
		in, known := of[t.Entry]
		rows[t.Entry], all[i] = rowOf(c, cutoffAt, t, in, known)
	}
	gun := placesBy(leaderboard.Gun, all)
	net := placesBy(leaderboard.Net, all)
	ranking := leaderboard.Result(by)
	places := ranking.Sort(all)
	out := make([]Row, len(all))
	for i := range all {
		r := rows[all[i].Entry]
		r.Place, r.PlaceGun, r.PlaceNet = places[i], gun[r.Entry], net[r.Entry]
		out[i] = r
	}
	return out
}

func placesBy(by leaderboard.Base, all []leaderboard.Contender) map[uint32]uint32 {
	sorted := slices.Clone(all)
	places := leaderboard.Result(by).Sort(sorted)
	of := make(map[uint32]uint32, len(all))
	for i := range sorted {
		of[sorted[i].Entry] = places[i]
	}
	return of
}

// rowOf is one entry's row without places, and what it is ranked by.
func rowOf(c *course.Course, cutoffAt unit.InstantMs, t Starter, in Input, known bool) (Row, leaderboard.Contender) {
	r := Row{Entry: t.Entry, Heat: t.Heat, Category: t.Category, Penalty: t.Penalty, Start: t.GunAt.Us()}
	if known {
		r.Gates = counted(len(c.Visits()), in.Gates, t.GunAt, cutoffAt)
	}
	k := leaderboard.Contender{Entry: t.Entry, GunAt: t.GunAt.Us(), Penalty: unit.DurationUs(t.Penalty) * 1000}
	if n := len(r.Gates); n > 0 {
		if c.HasStart() && r.Gates[0].Gate == 0 {
			r.Start = r.Gates[0].At
		}
		last := r.Gates[n-1]
		k.Reached, k.Last = int(last.Gate)+1, last.At
		if int(last.Gate) == c.Finish() {
			r.Finish = last.At
		}
	}
	k.StartAt = r.Start
	r.Status = statusOf(t, in, known, r.Finish != 0)
	r.UnderReview = underReview(t, in)
	r.Disputed = r.Status == leaderboard.DNF && t.Disputed
	k.Status, k.Review = r.Status, r.UnderReview
	if r.Status == leaderboard.Finished {
		r.Gun, r.Net = k.Time(leaderboard.Gun), k.Time(leaderboard.Net)
	}
	return r, k
}

func statusOf(t Starter, in Input, known, finished bool) leaderboard.Status {
	switch {
	case t.Ruling != 0:
		return t.Ruling
	case !t.Bound:
		return leaderboard.DNS
	case finished:
		return leaderboard.Finished
	case !known || in.Unanswered:
		return leaderboard.Racing // under review, never DNF
	}
	return leaderboard.DNF
}

func underReview(t Starter, in Input) bool {
	reasons := append(slices.Clone(t.Review), in.Flags...)
	if in.Unanswered {
		reasons = append(reasons, ReasonUnanswered)
	}
	return slices.ContainsFunc(reasons, func(r string) bool { return !slices.Contains(t.Cleared, r) })
}

// resultBytesOfEntry is each entry's share of a result, so that no order of answers matters. The few entries of a small
// race share what one event holds.
func (s *State) resultBytesOfEntry() int {
	n := max(1, s.LockedCount)
	return max(MaxResultBytes/n, min(maxEntryBytes, MaxFieldBytes/n))
}

// bytes bounds what an input takes in a result, from above.
func (in Input) bytes() int {
	n := 64 + len(in.Training) + len(in.Recording)
	for _, x := range in.Streams {
		n += 32 + len(x.Device) + len(x.Stream) + len(x.Digest)
	}
	for _, f := range in.Flags {
		n += 3 + len(f)
	}
	return n
}

// rowBytesOf bounds what a row takes in a result, from above.
func rowBytesOf(category string, gates int) int { return 110 + len(category) + gateBytes*gates }

func compareStreams(a, b InputStream) int {
	return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Stream, b.Stream))
}
