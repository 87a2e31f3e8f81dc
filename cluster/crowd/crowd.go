// Package crowd bounds connections of people who have proved nothing yet. It is not a rate limit, and knows nothing of
// what they say.
//
// One too many pushes the oldest out: whoever is honest is through in milliseconds, so he is never the oldest of many,
// and those who only hold a place lose it. Refusing the newest would let them keep everybody out.
package crowd

import (
	"container/list"
	"io"
	"sync"
)

// Crowd is safe for concurrent use.
type Crowd struct {
	mu   sync.Mutex
	most int
	all  *list.List // of io.Closer, the oldest in front
}

// New makes a Crowd of at most so many.
func New(most int) *Crowd { return &Crowd{most: most, all: list.New()} }

// Enter takes one in, and closes the oldest if there are too many now. leave is called once it has proved itself, or has
// gone; more than once does no harm.
func (c *Crowd) Enter(one io.Closer) (leave func(), pushed bool) {
	c.mu.Lock()
	place := c.all.PushBack(one)
	var out io.Closer
	if c.all.Len() > c.most {
		out = c.all.Remove(c.all.Front()).(io.Closer)
	}
	c.mu.Unlock()
	if out != nil {
		_ = out.Close() // outside of the lock: it leaves by that
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all.Remove(place) // nothing, if it has been pushed out
	}, out != nil
}

// Size is how many there are.
func (c *Crowd) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.Len()
}
