package hub

import (
	"strings"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/wire"
)

// Config bounds a hub. Zero values mean the default. Times are wall clock.
type Config struct {
	Node             string          // member id: where updates go
	MaxSubscriptions int             // of all connections together
	Renew            unit.DurationMs // interest in a topic is renewed this often; the grain forgets it after three
	PositionsEvery   unit.DurationMs // a map is told of new positions at most this often
	ResyncAfter      unit.DurationMs // a lost update is asked for again at most this often
}

// Default is the configuration of a node.
func Default() Config {
	return Config{MaxSubscriptions: 200_000, Renew: 5 * unit.Second, PositionsEvery: unit.Second, ResyncAfter: 500}
}

// ErrFull says that this node serves as many subscriptions as it may.
var ErrFull = fault.Later("topic.node_full", "This node has no room for another subscription; try again.")

const keyRenew, keyFeeds, keyPositions = "renew", "feeds", "positions"

// Hub is the state of this node's fan-out.
type Hub struct {
	cfg     Config
	subs    int
	lastSub uint32 // the number given last to a topic and cut

	// mu guards races and the replicas in them: Standing and Holds read them from other goroutines.
	mu    rwMutex
	races map[string]*race

	rosters  map[string]*rosterTopic
	feeds    map[wire.Topic]*feedTopic // and inboxes
	workouts map[string]*workoutTopic
	conns    map[Conn]*connection

	renewing, polling, thinning bool // the timer is set

	stops []step.Out // ends of interests, found while a message was handled
}

// race is one competition that somebody here watches or rides in.
type race struct {
	id          string
	board       *replica
	cuts        map[wire.Cut]*cut // of the board
	layers      [wire.Audiences]layer
	followers   int
	mapDirty    bool           // positions have changed since mapAt
	mapAt       unit.InstantMs // wall clock of the last positions frames
	holdsPeople bool           // for the maps
	askedAt     unit.InstantMs // wall clock of the last request for a lost update
	subscribers int            // of board and positions
}

// workoutTopic is one athlete's live numbers. It is kept by the workout's local id, as its topic is; ids are minted
// at random, so a second training with the same one is somebody's trick and is refused.
type workoutTopic struct {
	training string // "<person>/<id>"
	sub      uint32
	frame    *Frame
	slots    []*Slot
}

// connection is what the hub does for one connection.
type connection struct {
	subs    map[subKey]*Slot
	follows map[string]bool
}

type subKey struct {
	topic wire.Topic
	cut   wire.Cut
}

// New makes a hub.
func New(cfg Config) *Hub {
	d := Default()
	if cfg.MaxSubscriptions == 0 {
		cfg.MaxSubscriptions = d.MaxSubscriptions
	}
	if cfg.Renew == 0 {
		cfg.Renew = d.Renew
	}
	if cfg.PositionsEvery == 0 {
		cfg.PositionsEvery = d.PositionsEvery
	}
	if cfg.ResyncAfter == 0 {
		cfg.ResyncAfter = d.ResyncAfter
	}
	return &Hub{
		cfg: cfg, races: map[string]*race{}, rosters: map[string]*rosterTopic{}, feeds: map[wire.Topic]*feedTopic{},
		workouts: map[string]*workoutTopic{}, conns: map[Conn]*connection{},
	}
}

// Step handles one message.
func (h *Hub) Step(now step.Now, msg any) []step.Out {
	outs := append(h.handle(now, msg), h.stops...)
	h.stops = nil
	return outs
}

func (h *Hub) handle(now step.Now, msg any) []step.Out {
	switch m := msg.(type) {
	case *clusterv1.TopicUpdate:
		return h.onUpdate(now, m)
	case Subscribe:
		return h.onSubscribe(now, m)
	case Unsubscribe:
		h.unsubscribe(m.Conn, subKey{m.Topic, m.Cut})
	case Follow:
		return h.onFollow(now, m)
	case Gone:
		h.onGone(m.Conn)
	case Behind:
		return []step.Out{ReadFeed{Topic: m.Topic, After: m.After, Limit: feedPage, Slot: m.Slot}}
	case FeedRead:
		return h.onFeedRead(m)
	case RosterRead:
		return h.onRosterRead(m)
	case Resync:
		return h.onResync(now, m)
	case MembersChanged:
		return h.sayAgain()
	case step.Tick:
		return h.onTick(now, m.Key)
	}
	return nil
}

// Standing is the newest place of an entry that this node knows, or nil.
func (h *Hub) Standing(competition string, entry uint32) *livev1.Standing {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.races[competition]
	if r == nil {
		return nil
	}
	return r.board.standing(competition, entry)
}

// Holds reports whether this node has a board of the competition that it can show.
func (h *Hub) Holds(competition string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.races[competition]
	return r != nil && r.board.known
}

func (h *Hub) onUpdate(now step.Now, u *clusterv1.TopicUpdate) []step.Out {
	t, err := parseUpdated(u.Topic)
	if err != nil {
		return nil
	}
	switch t.Kind {
	case wire.Board:
		return h.onBoard(now, t.ID, u)
	case wire.Feed, wire.Inbox:
		return h.onFeedUpdate(t, u)
	case wire.Workout:
		return h.onWorkout(t, u)
	case wire.Roster, wire.Positions: // they are made here
	}
	return nil
}

// inboxPrefix is before the name of a person whose inbox a grain speaks of; a client's own is just "inbox".
const inboxPrefix = "inbox/"

func parseUpdated(topic string) (wire.Topic, error) {
	if person, ok := strings.CutPrefix(topic, inboxPrefix); ok {
		return wire.Topic{Kind: wire.Inbox, ID: person}, id.Check(person)
	}
	return wire.ParseTopic(topic)
}

func (h *Hub) onBoard(now step.Now, competition string, u *clusterv1.TopicUpdate) []step.Out {
	r := h.races[competition]
	if r == nil {
		return nil // nobody here wants it any more; the interest runs out
	}
	b := r.board
	if u.Epoch < b.epoch && !step.RuleEpochDrops.Off() {
		return nil
	}
	if u.Epoch == b.epoch && b.known && (u.Version < b.version || u.Version == b.version && u.Recovering == b.recovering) {
		return nil // older than what is here, or a copy of it
	}
	if u.Base != 0 && (!b.known || u.Epoch != b.epoch || u.Base != b.version) {
		return h.askAgain(now, r) // one was lost: only a snapshot helps
	}
	content := &livev1.Board{}
	if proto.Unmarshal(u.Content, content) != nil {
		return h.askAgain(now, r)
	}
	h.mu.Lock()
	var c change
	if u.Base == 0 {
		c = b.replace(content)
		r.declare(u.Audiences)
	} else {
		c = b.amend(content)
	}
	c.head = c.head || b.recovering != u.Recovering || b.epoch != u.Epoch
	b.epoch, b.version, b.recovering = u.Epoch, u.Version, u.Recovering
	h.mu.Unlock()
	if !c.any() {
		return nil
	}
	outs := append(h.holdPeople(now, r), h.publish(now, r, &c)...)
	if people := h.rosters[competition]; people != nil && c.head {
		outs = append(outs, people.read(now)...) // perhaps somebody has entered
	}
	return outs
}

// publish makes the frames of all cuts that an update has changed.
func (h *Hub) publish(now step.Now, r *race, c *change) []step.Out {
	var outs []step.Out
	topic := wire.Topic{Kind: wire.Board, ID: r.id}
	for key, cut := range r.cuts {
		if f := cut.renew(topic, key, r.board, c.head); f != nil {
			outs = append(outs, Publish{f, cut.slots})
		}
	}
	r.mapDirty = r.mapDirty || c.any()
	return append(outs, h.publishMaps(now, r, c.head)...)
}

// onWorkout: newest state wins, always whole.
func (h *Hub) onWorkout(t wire.Topic, u *clusterv1.TopicUpdate) []step.Out {
	w := h.workouts[t.ID]
	content := &livev1.Workout{}
	if w == nil || proto.Unmarshal(u.Content, content) != nil {
		return nil
	}
	if w.frame != nil && !(u.Epoch > w.frame.Epoch || u.Epoch == w.frame.Epoch && u.Version > w.frame.Version) {
		return nil
	}
	w.frame = &Frame{Topic: t, Epoch: u.Epoch, Version: u.Version, Recovering: u.Recovering, Sub: w.sub, content: &workout{content}}
	return []step.Out{Publish{w.frame, w.slots}}
}

func (h *Hub) onTick(now step.Now, key string) []step.Out {
	switch key {
	case keyRenew:
		h.renewing = false
		return h.renew(now)
	case keyFeeds:
		h.polling = false
		return h.poll(now)
	case keyPositions:
		h.thinning = false
		var outs []step.Out
		for _, r := range h.races {
			outs = append(outs, h.publishMaps(now, r, false)...)
		}
		return outs
	}
	return nil
}

// number is a new number for a topic and cut. Every node counts for itself: a number means something only on the
// connection on which a frame has named it. It is given as long as somebody here watches.
func (h *Hub) number() uint32 {
	h.lastSub++
	return h.lastSub
}

func grainOf(competition string) id.Grain { return id.Of(id.Competition, competition) }
