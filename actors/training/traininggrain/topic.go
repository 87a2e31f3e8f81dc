package traininggrain

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// watcher is a node that wants the workout's topic.
type watcher struct {
	until          unit.InstantMs // wall
	epoch, version uint64         // that it has
}

// maxWatchers bounds how many nodes are told.
const maxWatchers = 1024

func (s *Shell) topic() string { return "workout/" + s.machine.Grain().Local() }

func (s *Shell) onInterest(now step.Now, m *clusterv1.Interest) {
	if m.Topic != s.topic() {
		return
	}
	if m.Stop {
		delete(s.nodes, m.Node)
		return
	}
	w := s.nodes[m.Node]
	if w == nil {
		if len(s.nodes) >= maxWatchers {
			return
		}
		w = &watcher{}
		machine.Set(&s.nodes, m.Node, w)
	}
	w.until = now.Wall.Add(s.n.InterestFor)
	w.epoch, w.version = m.Epoch, m.Version
}

// show sends the newest numbers to the nodes that have older ones. A workout is small: always a snapshot.
func (s *Shell) show(now step.Now) unit.InstantMs {
	if len(s.nodes) == 0 || s.fold == nil {
		return 0
	}
	epoch, version := s.machine.Committed(), s.result.Basis.Version()
	var content []byte
	for _, node := range slices.Sorted(maps.Keys(s.nodes)) {
		w := s.nodes[node]
		if w.until <= now.Wall {
			delete(s.nodes, node)
			continue
		}
		if w.epoch > epoch || w.epoch == epoch && w.version >= version {
			continue
		}
		if at := s.shownAt.Add(s.n.TopicEvery); content == nil && now.Wall < at {
			return at
		}
		if content == nil {
			content = s.workout()
		}
		w.epoch, w.version = epoch, version
		s.out(step.ToNode{Node: node, Msg: &clusterv1.TopicUpdate{Topic: s.topic(), Epoch: epoch, Version: version, Content: content}})
	}
	if content != nil {
		s.shownAt = now.Wall
	}
	return 0
}

func (s *Shell) workout() []byte {
	st, r := s.machine.State(), s.result
	b, err := proto.Marshal(&livev1.Workout{WorkoutId: s.machine.Grain().Local(), AtMs: int64(r.At), ElapsedMs: int64(st.Elapsed(r.Totals)),
		DistanceMm: int64(r.Totals.DistanceMm), ProgressMm: int64(r.ProgressMm), HeartRateBpm: r.Live.HeartBpm, PowerW: r.Live.PowerW,
		CadenceRpm: r.Live.CadenceRpm, SpeedMmS: r.Live.SpeedMmS, State: st.Phase.String(),
		Control: s.controlState()})
	if err != nil {
		return []byte{}
	}
	return b
}
