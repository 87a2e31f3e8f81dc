package main

import (
	"sync"

	"paceline/domain/course"
)

// coursesKept is how many different tracks are shared at once; a node has few open races.
const coursesKept = 64

// courses gives equal tracks the same course, so that ten thousand workouts of one race do not each keep its line.
type courses struct {
	mu   sync.Mutex
	kept []compiled // the oldest first
}

type compiled struct {
	track  course.Track // as given
	course *course.Course
}

func (c *courses) compile(t course.Track) (*course.Course, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.kept {
		if c.kept[i].track.Equal(t) {
			return c.kept[i].course, nil
		}
	}
	made, err := course.New(t)
	if err != nil {
		return nil, err
	}
	if len(c.kept) >= coursesKept {
		c.kept = c.kept[1:]
	}
	c.kept = append(c.kept, compiled{t, made})
	return made, nil
}
