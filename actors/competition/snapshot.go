package competition

import (
	"cmp"
	"fmt"
	"slices"

	"paceline/domain/course"
)

// Restore makes a state of what a snapshot holds: the exported fields of s, and the entries. What follows from those
// (the course, the indices, the tally) it makes anew. It takes s and the entries over.
func Restore(s *State, entries []*Entry) (*State, error) {
	r := *s
	r.Course, r.entries, r.byNumber, r.byUser = nil, entries, make(map[uint32]*Entry, len(entries)), make(map[string]*Entry, len(entries))
	if int(r.Phase) >= len(phaseNames) {
		return nil, fmt.Errorf("phase %d", r.Phase)
	}
	if r.Phase != PhaseNone {
		r.Course, _ = course.New(r.Definition.Track) // as applyRace does
	}
	if !slices.IsSortedFunc(entries, func(a, b *Entry) int { return cmp.Compare(a.Number, b.Number) }) {
		return nil, fmt.Errorf("entries are not in order")
	}
	for _, e := range entries {
		if r.byNumber[e.Number] != nil {
			return nil, fmt.Errorf("entry %d twice", e.Number)
		}
		r.byNumber[e.Number] = e
		r.byUser[e.User] = e
	}
	r.recount()
	return &r, nil
}
