package live

import (
	"slices"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// Update is what a topic's handler gets: exactly one of Snapshot and Delta is set. A delta follows the update
// before it; deltas that do not are dropped and a snapshot asked for.
type Update struct {
	Snapshot *livev1.Snapshot
	Delta    *livev1.Delta
}

// Topic is one subscription, renewed at every reconnect.
type Topic struct {
	Name, Cut string

	c       *Client
	handle  func(Update)
	onError func(error)

	// Guarded by Client.mu.
	epoch, version uint64
	waiting        bool // for a snapshot
	Backwards      int  // updates that would have gone back in {epoch, version}
}

// Subscribe follows a topic in a cut ("", "top:N", "category:NAME", "around:ENTRY"). onError may be nil.
func (c *Client) Subscribe(topic, cut string, handle func(Update), onError func(error)) *Topic {
	t := &Topic{Name: topic, Cut: cut, c: c, handle: handle, onError: onError}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics = append(c.topics, t)
	t.subscribe()
	return t
}

// Close ends the subscription.
func (t *Topic) Close() {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.forget(nil, t)
	t.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Unsubscribe{Unsubscribe: &livev1.Unsubscribe{
		Topic: t.Name, Cut: t.Cut}}})
}

// Position is the {epoch, version} last seen.
func (t *Topic) Position() (epoch, version uint64) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	return t.epoch, t.version
}

func (t *Topic) subscribe() {
	t.waiting = true
	t.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{
		Topic: t.Name, Cut: t.Cut, Epoch: t.epoch, Version: t.version}}})
}

func (c *Client) topic(name, cut string) *Topic {
	i := slices.IndexFunc(c.topics, func(t *Topic) bool { return t.Name == name && t.Cut == cut })
	if i < 0 {
		return nil
	}
	return c.topics[i]
}

// behind reports a position before the one last seen: a viewer never goes back.
func (t *Topic) behind(epoch, version uint64) bool {
	return epoch < t.epoch || epoch == t.epoch && version < t.version
}

func (c *Client) snapshot(s *livev1.Snapshot) {
	t := c.topic(s.Topic, s.Cut)
	if t == nil {
		return
	}
	if t.behind(s.Epoch, s.Version) {
		t.Backwards++
		return
	}
	t.epoch, t.version, t.waiting = s.Epoch, s.Version, false
	t.handle(Update{Snapshot: s})
}

func (c *Client) delta(d *livev1.Delta) {
	t := c.topic(d.Topic, d.Cut)
	if t == nil {
		return
	}
	if t.behind(d.Epoch, d.Version) {
		t.Backwards++
		return
	}
	if d.Epoch != t.epoch || d.Base != t.version {
		if !t.waiting {
			t.subscribe()
		}
		return
	}
	t.version, t.waiting = d.Version, false
	t.handle(Update{Delta: d})
}
