package session

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// watch is the operation of subscribing to a kind of topic.
func watch(k wire.TopicKind) auth.Operation {
	switch k {
	case wire.Board:
		return auth.WatchBoard
	case wire.Roster:
		return auth.WatchRoster
	case wire.Positions:
		return auth.WatchPositions
	case wire.Feed:
		return auth.WatchFeed
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
	s.lastTag++
	s.lookups[s.lastTag] = m
	return []step.Out{Lookup{Tag: s.lastTag, Topic: t, Principal: s.principal}}
}

func (s *Session) onLooked(l Looked) []step.Out {
	m := s.lookups[l.Tag]
	if m == nil {
		return nil
	}
	delete(s.lookups, l.Tag)
	key := topicKey{m.Topic, m.Cut}
	if !s.topics[key] {
		return nil // unsubscribed meanwhile
	}
	t, c, err := parse(m.Topic, m.Cut)
	if err == nil {
		err = l.Err
	}
	if err == nil {
		err = auth.Check(s.principal, watch(t.Kind), l.Resource)
	}
	if err != nil {
		delete(s.topics, key)
		return []step.Out{topicError(err, m.Topic)}
	}
	return []step.Out{Subscribe{Topic: t, Cut: c, Epoch: m.Epoch, Version: m.Version, Viewer: s.principal, Training: l.Training}}
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
	return []step.Out{Unsubscribe{Topic: t, Cut: c}}
}
