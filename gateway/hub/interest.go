package hub

import (
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/wire"
)

// interest tells the competition's grain that this node wants its board, and what it has of it. It is state, not
// an event: said again every few seconds, forgotten by the grain if it is not.
func (h *Hub) interest(r *race, stop bool) step.Send {
	return step.Send{To: grainOf(r.id), Msg: &clusterv1.Interest{
		Topic: wire.Topic{Kind: wire.Board, ID: r.id}.String(), Node: h.cfg.Node,
		Epoch: r.board.epoch, Version: r.board.version, Stop: stop,
	}}
}

func (w *workoutTopic) interest(node string, stop bool) step.Send {
	g := id.Grain{Kind: id.Training, ID: w.training}
	i := &clusterv1.Interest{Topic: wire.Topic{Kind: wire.Workout, ID: g.Local()}.String(), Node: node, Stop: stop}
	if w.frame != nil {
		i.Epoch, i.Version = w.frame.Epoch, w.frame.Version
	}
	return step.Send{To: g, Msg: i}
}

// interest in a feed saves the poll: items come as they happen.
func (f *feedTopic) interest(node string, stop bool) step.Send {
	to, topic := grainOf(f.topic.ID), f.topic.String()
	if f.topic.Kind == wire.Inbox {
		to, topic = id.Of(id.User, f.topic.ID), inboxPrefix+f.topic.ID
	}
	return step.Send{To: to, Msg: &clusterv1.Interest{Topic: topic, Node: node, Epoch: feedEpoch, Version: f.version, Stop: stop}}
}

// renew says all interests again and forgets the replicas that nobody wants.
func (h *Hub) renew(now step.Now) []step.Out {
	var outs []step.Out
	for competition, r := range h.races {
		if r.subscribers+r.followers == 0 {
			outs = append(outs, h.interest(r, true))
			h.mu.Lock()
			delete(h.races, competition)
			h.mu.Unlock()
			continue
		}
		outs = append(outs, h.interest(r, false))
	}
	for _, w := range h.workouts {
		outs = append(outs, w.interest(h.cfg.Node, false))
	}
	for _, f := range h.feeds {
		outs = append(outs, f.interest(h.cfg.Node, false))
	}
	if len(h.races)+len(h.workouts)+len(h.feeds) == 0 {
		return outs
	}
	return append(outs, h.arm(now)...)
}

// askAgain asks for a snapshot because an update was lost, but not for each update that follows the lost one.
func (h *Hub) askAgain(now step.Now, r *race) []step.Out {
	if r.askedAt != 0 && now.Wall.Sub(r.askedAt) < h.cfg.ResyncAfter {
		return nil
	}
	r.askedAt = now.Wall
	return []step.Out{h.interest(r, false)}
}

func (h *Hub) onResync(now step.Now, m Resync) []step.Out {
	t, err := parseUpdated(m.Topic)
	if err != nil {
		return nil
	}
	if r := h.races[t.ID]; t.Kind == wire.Board && r != nil {
		return h.askAgain(now, r)
	}
	if f := h.feeds[t]; f != nil {
		return f.read()
	}
	return nil
}
