package training

import "fmt"

// Resume completes a state that was put together from a snapshot: it compiles the race's course again, with what makes
// courses here. An error means that this build refuses the track; the journal then decides.
func (s *State) Resume(c Compile) error {
	s.compile = c
	if s.Bound == nil {
		return nil
	}
	of, err := c(s.Bound.Track)
	if err != nil {
		return fmt.Errorf("course of a snapshot: %w", err)
	}
	s.Course = of
	b := *s.Bound
	b.Track = of.Track()
	s.Bound = &b
	return nil
}
