package live

import (
	"slices"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// Update is what a topic's handler gets: exactly one of Snapshot, Delta and Event is set. A delta follows the update
// before it; deltas that do not are dropped and a snapshot asked for. Topic and cut are always filled in. What a
// board's delta leaves out, board.View puts back. An event is one new entry of the topic "inbox".
type Update struct {
	Snapshot *livev1.Snapshot
	Delta    *livev1.Delta
	Event    *livev1.Event
}

// Topic is one subscription, renewed at every reconnect.
type Topic struct {
	Name, Cut string

	c       *Client
	handle  func(Update)
	onError func(error)

	// Guarded by Client.mu.
	epoch, version uint64
	waiting        bool          // for a snapshot
	sub            uint32        // the node's number for it on this connection; 0: not named yet
	Backwards      int           // updates that would have gone back in {epoch, version}
	again          time.Time     // when what was refused for now is asked for again; zero: nothing was
	pause          time.Duration // until then, longer each time
}

// How long a topic waits that was refused for now.
const (
	firstPause   = time.Second
	longestPause = 10 * time.Second
)

// Subscribe follows a topic in a cut ("", "top:N", "category:NAME", "around:ENTRY"; of positions also
// "audience:entrant" and "audience:official", alone or before a cut and a comma). onError may be nil.
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
	if t.sub != 0 {
		t.c.strange[t.sub] = true // its last deltas may be on their way
	}
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
	t.waiting, t.again = true, time.Time{}
	t.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{
		Topic: t.Name, Cut: t.Cut, Epoch: t.epoch, Version: t.version}}})
}

// refused: what may be asked again is asked again, later each time; the reader hears of it all the same.
func (t *Topic) refused(e *livev1.Error, now time.Time) {
	if e.Retry {
		t.pause = min(max(firstPause, 2*t.pause), longestPause)
		t.again = now.Add(t.pause)
	}
	if t.onError != nil {
		t.onError(faultOf(e))
	}
}

// tend is called once a second.
func (t *Topic) tend(now time.Time) {
	if !t.again.IsZero() && !now.Before(t.again) {
		t.subscribe()
	}
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
	t.named(s.Sub)
	t.epoch, t.version, t.waiting, t.pause = s.Epoch, s.Version, false, 0
	t.handle(Update{Snapshot: s})
}

// named takes the node's number for the topic.
func (t *Topic) named(sub uint32) {
	if sub != 0 {
		t.sub = sub
		delete(t.c.strange, sub)
	}
}

// ofDelta finds the topic that a delta is about, by its name or by the number that stands for it.
func (c *Client) ofDelta(d *livev1.Delta) *Topic {
	if d.Topic != "" {
		t := c.topic(d.Topic, d.Cut)
		if t != nil {
			t.named(d.Sub)
		}
		return t
	}
	i := slices.IndexFunc(c.topics, func(t *Topic) bool { return t.sub == d.Sub && d.Sub != 0 })
	if i < 0 {
		c.stranger(d.Sub)
		return nil
	}
	d.Topic, d.Cut = c.topics[i].Name, c.topics[i].Cut
	return c.topics[i]
}

// stranger: a delta's number stands for nothing that is known here. That is as it should be after an unsubscribe;
// else a name was missed, and what has none is asked for again, once for each number.
func (c *Client) stranger(sub uint32) {
	if c.strange[sub] {
		return
	}
	c.strange[sub] = true
	for _, t := range c.topics {
		if t.sub == 0 {
			t.subscribe()
		}
	}
}

func (c *Client) delta(d *livev1.Delta) {
	t := c.ofDelta(d)
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

// inboxTopic is the one topic whose entries come as events; feeds and inboxes have one epoch.
const inboxTopic, feedEpoch = "inbox", 1

// event is a new entry of the inbox.
func (c *Client) event(e *livev1.Event) {
	t := c.topic(inboxTopic, "")
	if t == nil || e.Version == 0 {
		return
	}
	if t.behind(feedEpoch, e.Version) || t.epoch == feedEpoch && e.Version == t.version {
		t.Backwards++
		return
	}
	t.epoch, t.version, t.waiting = feedEpoch, e.Version, false
	t.handle(Update{Event: e})
}
