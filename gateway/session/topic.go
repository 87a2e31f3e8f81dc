package session

import (
	"cmp"
	"maps"
	"slices"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// watch is the operation of subscribing to a topic in a cut.
func watch(t wire.Topic, c wire.Cut) auth.Operation {
	switch t.Kind {
	case wire.Board:
		return auth.WatchBoard
	case wire.Roster:
		return auth.WatchRoster
	case wire.Positions:
		switch c.Audience {
		case wire.Public:
			return auth.WatchPositions
		case wire.Entrant:
			return auth.WatchEntrantPositions
		case wire.Official:
		}
		return auth.WatchOfficialPositions
	case wire.Feed:
		return auth.WatchFeed
	case wire.Inbox:
		return auth.WatchInbox
	case wire.Workout:
	}
	return auth.WatchWorkout // the strictest
}

func parse(topic, cut string) (wire.Topic, wire.Cut, error) {
	t, err := wire.ParseTopic(topic)
	if err != nil {
		return t, wire.Cut{}, err
	}
	c, err := wire.ParseCut(t, cut)
	return t, c, err
}

// onSubscribe asks the views first: who may watch depends on the competition, or on whose workout it is.
func (s *Session) onSubscribe(m *livev1.Subscribe) []step.Out {
	t, _, err := parse(m.Topic, m.Cut)
	key := topicKey{m.Topic, m.Cut}
	// Look-ups count too: the same topic asked for again and again must not fill the queue of everybody.
	if err == nil && (!s.topics[key] && len(s.topics) >= s.cfg.MaxSubscriptions || len(s.lookups) >= 2*s.cfg.MaxSubscriptions) {
		err = ErrSubscriptions.With("at most %d", s.cfg.MaxSubscriptions)
	}
	if err != nil {
		return []step.Out{topicError(err, m.Topic)}
	}
	s.topics[key] = true
	delete(s.private, key) // decided anew
	return []step.Out{s.look(&looking{subscribe: m}, t)}
}

// looking is a question to the views: for a subscription, to decide about one again, or for a reaction.
type looking struct {
	subscribe *livev1.Subscribe
	again     bool
	react     *livev1.Command
}

func (s *Session) look(l *looking, t wire.Topic) Lookup {
	s.lastTag++
	s.lookups[s.lastTag] = l
	return Lookup{Tag: s.lastTag, Topic: t, Principal: s.principal}
}

func (s *Session) onLooked(now step.Now, l Looked) []step.Out {
	asked := s.lookups[l.Tag]
	if asked == nil {
		return nil
	}
	delete(s.lookups, l.Tag)
	if asked.react != nil {
		return s.onReactLooked(now, asked.react, l)
	}
	m := asked.subscribe
	key := topicKey{m.Topic, m.Cut}
	if !s.topics[key] || asked.again && s.private[key] != m {
		return nil // unsubscribed meanwhile, or asked for anew
	}
	t, c, err := parse(m.Topic, m.Cut)
	if err == nil {
		err = l.Err
	}
	op := watch(t, c)
	if err == nil {
		err = auth.Check(s.principal, op, l.Resource)
	}
	if t.Kind == wire.Inbox {
		t.ID = l.Resource.Person
	}
	switch {
	case err != nil && asked.again && fault.Of(err).Retry:
		return nil // the views are away; the next time will tell
	case err != nil:
		delete(s.topics, key)
		delete(s.private, key)
		outs := []step.Out{topicError(err, m.Topic)}
		if asked.again {
			outs = append(outs, Unsubscribe{Topic: t, Cut: c})
		}
		return outs
	case asked.again:
		return nil
	}
	outs := []step.Out{Subscribe{Topic: t, Cut: c, Epoch: m.Epoch, Version: m.Version, Viewer: s.principal, Training: l.Training}}
	if !auth.Decide(auth.Principal{}, op, l.Resource).Allow {
		outs = append(outs, s.watchPrivately(now, key, m)...)
	}
	return outs
}

// watchPrivately notes a subscription that not everybody may have: whether this principal still may is decided again
// every Redecide. An entrant who has withdrawn is none.
func (s *Session) watchPrivately(now step.Now, key topicKey, m *livev1.Subscribe) []step.Out {
	s.private[key] = m
	if s.redeciding {
		return nil
	}
	s.redeciding = true
	return []step.Out{step.After{Key: keyRedecide, At: now.Wall.Add(s.cfg.Redecide)}}
}

func (s *Session) redecide(now step.Now) []step.Out {
	s.redeciding = len(s.private) > 0
	if !s.redeciding {
		return nil
	}
	outs := []step.Out{step.After{Key: keyRedecide, At: now.Wall.Add(s.cfg.Redecide)}}
	for _, key := range slices.SortedFunc(maps.Keys(s.private), func(a, b topicKey) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.cut, b.cut))
	}) {
		m := s.private[key]
		if t, _, err := parse(m.Topic, m.Cut); err == nil {
			outs = append(outs, s.look(&looking{subscribe: m, again: true}, t))
		}
	}
	return outs
}

func (s *Session) onUnsubscribe(m *livev1.Unsubscribe) []step.Out {
	if err := auth.Check(s.principal, auth.Unwatch, auth.Resource{}); err != nil {
		return []step.Out{errorOf(err)}
	}
	key := topicKey{m.Topic, m.Cut}
	t, c, err := parse(m.Topic, m.Cut)
	if err != nil || !s.topics[key] {
		return nil // it was not watched: nothing to end
	}
	delete(s.topics, key)
	delete(s.private, key)
	if t.Kind == wire.Inbox {
		t.ID = s.principal.Person()
	}
	return []step.Out{Unsubscribe{Topic: t, Cut: c}}
}
