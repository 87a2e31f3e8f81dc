package session

import (
	"cmp"
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

// watching is what a connection has of a topic in a cut. It takes one of the connection's places while it is served or
// looked up.
type watching struct {
	asked   uint64            // tag of the newest look-up for the client that is under way; 0: none
	decided uint64            // tag of the newest look-up that counts: the views may answer in any order
	served  uint64            // tag of the Subscribe that the hub has; 0: none
	private *livev1.Subscribe // served, and not to everybody: decided again every Redecide
}

// onSubscribe asks the views first: who may watch depends on the competition, or on whose workout it is. What is
// watched already goes on until they have answered.
func (s *Session) onSubscribe(m *livev1.Subscribe) []step.Out {
	t, _, err := parse(m.Topic, m.Cut)
	key := topicKey{m.Topic, m.Cut}
	w := s.topics[key]
	// Look-ups count too: the same topic asked for again and again must not fill the queue of everybody.
	if err == nil && (w == nil && len(s.topics) >= s.cfg.MaxSubscriptions || len(s.lookups) >= 2*s.cfg.MaxSubscriptions) {
		err = ErrSubscriptions.With("at most %d", s.cfg.MaxSubscriptions)
	}
	if err != nil {
		return []step.Out{topicError(err, m.Topic)}
	}
	if w == nil {
		w = &watching{decided: s.lastTag} // look-ups of a subscription before this one say nothing about it
		s.topics[key] = w
	}
	l := s.look(&looking{subscribe: m}, t)
	w.asked = l.Tag
	return []step.Out{l}
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
	w := s.topics[key]
	if w == nil || l.Tag <= w.decided {
		return nil // unsubscribed meanwhile, or decided by what was asked later
	}
	if w.asked == l.Tag {
		w.asked = 0
	}
	t, c, err := parse(m.Topic, m.Cut)
	if err == nil {
		err = l.Err
	}
	op := watch(t, c)
	if err == nil {
		err = auth.Check(s.principal, op, l.Resource)
	}
	switch {
	case err != nil && fault.Of(err).Retry:
		// The views are away, and have decided nothing: what is watched goes on, and the next time will tell.
		s.tidy(key, w)
		if asked.again {
			return nil
		}
		return []step.Out{topicError(err, m.Topic)}
	case err != nil:
		w.decided = l.Tag
		return append([]step.Out{topicError(err, m.Topic)}, s.unserve(key, w)...)
	case asked.again:
		return nil
	}
	w.decided, w.served, w.private = l.Tag, l.Tag, nil
	outs := []step.Out{Subscribe{Tag: l.Tag, Topic: s.own(t), Cut: c, Epoch: m.Epoch, Version: m.Version, Viewer: s.principal, Training: l.Training}}
	if !auth.Decide(auth.Principal{}, op, l.Resource).Allow {
		outs = append(outs, s.watchPrivately(now, w, m)...)
	}
	return outs
}

// own names whose inbox it is, which no client does: the principal's, or the subscription was refused.
func (s *Session) own(t wire.Topic) wire.Topic {
	if t.Kind == wire.Inbox {
		t.ID = s.principal.Person()
	}
	return t
}

// unserve ends what the hub does for a topic; its place is free again if nothing is under way for it.
func (s *Session) unserve(key topicKey, w *watching) []step.Out {
	was := w.served
	w.served, w.private = 0, nil
	s.tidy(key, w)
	t, c, err := parse(key.topic, key.cut)
	if was == 0 || err != nil {
		return nil // the hub has never heard of it
	}
	return []step.Out{Unsubscribe{Topic: s.own(t), Cut: c}}
}

func (s *Session) tidy(key topicKey, w *watching) {
	if w.served == 0 && w.asked == 0 {
		delete(s.topics, key)
	}
}

// onHubRefused: the hub has ended a subscription. If a newer one has taken its place, that is the one it serves.
func (s *Session) onHubRefused(m HubRefused) []step.Out {
	key := topicKey{m.Topic, m.Cut}
	w := s.topics[key]
	if w == nil || w.served != m.Tag {
		return nil
	}
	w.served, w.private = 0, nil
	s.tidy(key, w)
	return []step.Out{topicError(m.Err, m.Topic)}
}

// watchPrivately notes a subscription that not everybody may have: whether this principal still may is decided again
// every Redecide. An entrant who has withdrawn is none.
func (s *Session) watchPrivately(now step.Now, w *watching, m *livev1.Subscribe) []step.Out {
	w.private = m
	if s.redeciding {
		return nil
	}
	s.redeciding = true
	return []step.Out{step.After{Key: keyRedecide, At: now.Wall.Add(s.cfg.Redecide)}}
}

func (s *Session) redecide(now step.Now) []step.Out {
	var private []topicKey
	for key, w := range s.topics {
		if w.private != nil {
			private = append(private, key)
		}
	}
	s.redeciding = len(private) > 0
	if !s.redeciding {
		return nil
	}
	slices.SortFunc(private, func(a, b topicKey) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.cut, b.cut))
	})
	outs := []step.Out{step.After{Key: keyRedecide, At: now.Wall.Add(s.cfg.Redecide)}}
	for _, key := range private {
		w := s.topics[key]
		if w.asked != 0 {
			continue // the client has asked again, and that decides
		}
		if t, _, err := parse(key.topic, key.cut); err == nil {
			outs = append(outs, s.look(&looking{subscribe: w.private, again: true}, t))
		}
	}
	return outs
}

func (s *Session) onUnsubscribe(m *livev1.Unsubscribe) []step.Out {
	if err := auth.Check(s.principal, auth.Unwatch, auth.Resource{}); err != nil {
		return []step.Out{errorOf(err)}
	}
	key := topicKey{m.Topic, m.Cut}
	w := s.topics[key]
	if w == nil {
		return nil // it was not watched: nothing to end
	}
	w.asked = 0
	return s.unserve(key, w)
}
