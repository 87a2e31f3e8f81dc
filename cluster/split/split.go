package split

import "slices"

// Numbers of the rule, in milliseconds.
const (
	// DeadAfterMs is how long a row must stand still to be a dead member's. Rows are renewed every second, so that is
	// three renewals missed.
	DeadAfterMs = 4_000
	// DisagreeMs is how long a member that is not seen, but says that it sees this one, is waited for: it will notice.
	DisagreeMs = 8_000
)

// Row is what a member has written into the store.
type Row struct {
	Member  string
	Address string   // of two runs on one address only the newer one counts
	Started int64    // wall clock of that member
	Beat    uint64   // rises with each renewal
	Sees    []string // ids, its own included
	Serves  bool     // it has members; not before it knows them, and not when it has stepped down
	Down    bool     // it has stepped down
}

// Input is what a member knows at one moment.
type Input struct {
	NowMs int64    // own clock; never goes back
	Seen  []string // ids that gossip says are there, its own included
	// Suspects of those do not answer gossip at present.
	Suspects []string
	// Rows are what was read from the store since the last time; nil: nothing was read, the store is slow or away.
	Rows []Row
}

// Kind is what is to be done.
type Kind uint8

// The verdicts.
const (
	// Hold: not known yet. Who serves goes on as before.
	Hold Kind = iota
	// Serve: the members are those.
	Serve
	// StepDown: others serve; this member has to stop.
	StepDown
	// Restart: a member that has stepped down can begin anew.
	Restart
)

func (k Kind) String() string {
	return [...]string{"hold", "serve", "step down", "restart"}[k]
}

// Verdict is the rule's answer.
type Verdict struct {
	Kind    Kind
	Members []string // of Serve: sorted
	Other   []string // of StepDown: those who serve
}

// State is what a member remembers between two moments.
type State struct {
	self    string
	address string

	stable []string         // who served last; nil: nobody yet
	lostAt map[string]int64 // members of stable that are not seen: since when
	rows   map[string]*seenRow
	rivals map[string]int64 // members that serve beside this side: since when
	read   bool             // rows were read at least once
	readAt int64            // when they were read last
	since  int64            // the first moment

	down  bool
	other []string
}

type seenRow struct {
	Row
	first   int64 // seen first
	movedAt int64 // seen to move last; 0: never
	there   bool  // in the newest read
}

// New is the state of a member that has just begun.
func New(self, address string) *State {
	return &State{self: self, address: address, lostAt: make(map[string]int64), rivals: make(map[string]int64), rows: make(map[string]*seenRow), since: -1}
}

// Decide takes what is known now and says what to do.
func (s *State) Decide(in Input) Verdict {
	if s.since < 0 {
		s.since = in.NowMs
	}
	s.learn(in)
	seen := slices.DeleteFunc(slices.Clone(in.Seen), func(member string) bool {
		return slices.Contains(in.Suspects, member) && s.still(in.NowMs, member)
	})
	slices.Sort(seen)
	if s.down {
		return s.whileDown(in.NowMs, seen)
	}
	if s.stable == nil {
		return s.begin(in.NowMs, seen)
	}
	lost := s.lose(in.NowMs, seen)
	if len(lost) == 0 || 2*(len(s.stable)-len(lost)) > len(s.stable) {
		if other := s.rival(in.NowMs, seen); other != nil {
			return s.stepDown(other)
		}
		return s.serve(seen)
	}
	return s.byRows(in.NowMs, seen, lost)
}

// still says that a member's row was read for long enough and did not move, while this one's own did. A member that does
// not answer gossip either is dead: who is left need not wait until gossip has given it up, which takes twice as long
// where nobody can confirm it.
func (s *State) still(now int64, member string) bool {
	stands := func(r *seenRow) bool { return s.readAt-max(r.movedAt, r.first) >= DeadAfterMs }
	r, mine := s.rows[member], s.rows[s.self]
	return now-s.readAt < DeadAfterMs && r != nil && stands(r) && mine != nil && !stands(mine)
}

func (s *State) stepDown(other []string) Verdict {
	s.down, s.other = true, other
	return Verdict{Kind: StepDown, Other: other}
}

// rival is a side that serves beside this one and would win: each has decided on what it knew then (members have joined
// one of them while the network split). It is given time to notice by itself.
func (s *State) rival(now int64, seen []string) []string {
	var alive []string
	for _, member := range s.others(seen) {
		r := s.rows[member]
		if r.movedAt == 0 || now-r.movedAt >= DeadAfterMs || !r.Serves || slices.Contains(r.Sees, s.self) {
			delete(s.rivals, member)
			continue
		}
		if _, known := s.rivals[member]; !known {
			s.rivals[member] = now
		}
		if now-s.rivals[member] >= DisagreeMs {
			alive = append(alive, member)
		}
	}
	for _, other := range s.sides(seen, alive) {
		if !wins(seen, other) {
			return other
		}
	}
	return nil
}

// learn notes which rows have moved.
func (s *State) learn(in Input) {
	if in.Rows == nil {
		return
	}
	// After a pause in reading a changed row says that it moved some time in the pause, not that it moves now.
	paused := s.read && in.NowMs-s.readAt >= DeadAfterMs
	s.read, s.readAt = true, in.NowMs
	for _, r := range s.rows {
		r.there = false
	}
	for _, r := range in.Rows {
		old := s.rows[r.Member]
		if old == nil {
			s.rows[r.Member] = &seenRow{Row: r, first: in.NowMs, there: true}
			continue
		}
		switch {
		case paused:
			old.first, old.movedAt = in.NowMs, 0
		case r.Beat != old.Beat:
			old.movedAt = in.NowMs
		}
		old.Row, old.there = r, true
	}
	for member, r := range s.rows {
		if !r.there {
			delete(s.rows, member)
		}
	}
}

// serve makes what is seen the members.
func (s *State) serve(seen []string) Verdict {
	s.stable = seen
	clear(s.lostAt)
	return Verdict{Kind: Serve, Members: seen}
}

// lose notes who served and is not seen, and since when.
func (s *State) lose(now int64, seen []string) []string {
	var lost []string
	for _, m := range s.stable {
		if slices.Contains(seen, m) {
			delete(s.lostAt, m)
			continue
		}
		lost = append(lost, m)
		if _, known := s.lostAt[m]; !known {
			s.lostAt[m] = now
		}
	}
	return lost
}

// begin is for a member that has served with nobody yet. It must not found a second cluster beside one that it only
// cannot see: rows of others that move are such a one.
func (s *State) begin(now int64, seen []string) Verdict {
	if !s.read {
		return Verdict{Kind: Hold}
	}
	if s.servesAmong(seen) {
		return s.serve(seen)
	}
	var alive []string
	for _, member := range s.others(seen) {
		r := s.rows[member]
		if now-max(r.first, r.movedAt) >= DeadAfterMs || r.Down {
			continue
		}
		if r.movedAt == 0 || r.Serves {
			return Verdict{Kind: Hold, Other: []string{member}}
		}
		alive = append(alive, member)
	}
	for _, other := range s.sides(seen, alive) {
		if !wins(seen, other) {
			return Verdict{Kind: Hold, Other: other}
		}
	}
	return s.serve(seen)
}

// servesAmong says whether another member that is seen serves: whoever it may serve beside, it has decided.
func (s *State) servesAmong(seen []string) bool {
	for _, m := range seen {
		if r := s.rows[m]; m != s.self && r != nil && r.Serves {
			return true
		}
	}
	return false
}

// others are the rows of members that are not seen and have not been replaced by a newer run on their address.
func (s *State) others(seen []string) []string {
	var others []string
	for member, r := range s.rows {
		if !slices.Contains(seen, member) && !s.replaced(r, seen) {
			others = append(others, member)
		}
	}
	slices.Sort(others)
	return others
}

// replaced says whether a seen member runs on the row's address, which then is of a run before.
func (s *State) replaced(r *seenRow, seen []string) bool {
	if r.Address == s.address {
		return true
	}
	for _, m := range seen {
		if other := s.rows[m]; other != nil && other.Address == r.Address {
			return true
		}
	}
	return false
}

// byRows decides when half of the members or more are not seen.
func (s *State) byRows(now int64, seen, lost []string) Verdict {
	if !s.read || now-s.readAt >= DeadAfterMs {
		return Verdict{Kind: Hold} // the store says nothing; without it nobody can append anyway
	}
	var alive []string
	for _, member := range lost {
		since := s.lostAt[member]
		r := s.rows[member]
		if r == nil || r.Down || s.replaced(r, seen) {
			continue // it has left, or does not serve, or runs anew
		}
		still := now - max(r.movedAt, r.first)
		if r.movedAt == 0 {
			still = now - max(since, r.first) // never seen to move: no longer than it is watched
		}
		switch {
		case still >= DeadAfterMs:
		case r.movedAt == 0:
			return Verdict{Kind: Hold}
		case now-since < DeadAfterMs:
			return Verdict{Kind: Hold}
		case slices.Contains(r.Sees, s.self) && now-since < DisagreeMs:
			return Verdict{Kind: Hold}
		default:
			alive = append(alive, member)
		}
	}
	if len(alive) == 0 {
		return s.serve(seen)
	}
	for _, other := range s.sides(seen, alive) {
		if !wins(seen, other) {
			return s.stepDown(other)
		}
	}
	return s.serve(seen)
}

// sides are the members that are alive and not seen, each with whom it sees.
func (s *State) sides(seen, alive []string) [][]string {
	var sides [][]string
	for _, member := range alive {
		side := []string{member}
		for _, other := range s.rows[member].Sees {
			if r := s.rows[other]; other != member && r != nil && !slices.Contains(seen, other) {
				side = append(side, other)
			}
		}
		sides = append(sides, side)
	}
	return sides
}

// wins: the larger side; of equal ones the one with the smallest id.
func wins(mine, other []string) bool {
	if len(mine) != len(other) {
		return len(mine) > len(other)
	}
	return slices.Min(mine) < slices.Min(other)
}

// whileDown waits until no side that serves would win any more: the others are seen again, or have died, or this side
// has grown.
func (s *State) whileDown(now int64, seen []string) Verdict {
	if !s.read || now-s.readAt >= DeadAfterMs {
		return Verdict{Kind: StepDown, Other: s.other}
	}
	var alive []string
	for _, member := range s.others(seen) {
		if r := s.rows[member]; r.Serves && now-max(r.movedAt, r.first) < DeadAfterMs {
			alive = append(alive, member)
		}
	}
	for _, other := range s.sides(seen, alive) {
		if !wins(seen, other) {
			s.other = other
			return Verdict{Kind: StepDown, Other: other}
		}
	}
	return Verdict{Kind: Restart}
}

// Loses says which of two halves that have both served, and have removed each other, has to begin anew once they see
// each other: mine, if it would not win.
func Loses(mine, other []string) bool { return len(mine) == 0 || len(other) > 0 && !wins(mine, other) }
