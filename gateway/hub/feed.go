package hub

import (
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/wire"
)

const (
	// feedLogItems is how many of the newest items a feed keeps; older ones come from the views.
	feedLogItems = 1024
	// feedPage is how many items one read of history returns at most.
	feedPage = 256
	// feedPoll is how often a watched feed looks for news that nobody told it of.
	feedPoll = 1000 // ms, wall clock
	// inboxPoll is the same of an inbox: there are as many of them as people, and their grains tell.
	inboxPoll = 30 * unit.Second
	// feedEpoch: feeds have one epoch for ever; their version is the journal's.
	feedEpoch = 1
)

// entry is one entry of a feed or an inbox.
type entry interface{ GetVersion() uint64 }

// feedLog is the newest items of a feed: all with a version above from. Immutable.
type feedLog struct {
	from    uint64
	items   []entry
	private bool // history for one viewer
}

// since is a snapshot of the items above seen, which must be at or above from.
func (l *feedLog) since(f *Frame, seen uint64, e wire.Encoding) []byte {
	i := len(l.items)
	for i > 0 && l.items[i-1].GetVersion() > seen {
		i--
	}
	s := &livev1.Snapshot{Topic: f.Topic.String(), Epoch: f.Epoch, Version: f.Version, Sub: f.Sub}
	contentOf(f.Topic, l.items[i:]).snapshot(s)
	return wire.Encode(e, &livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: s}})
}

// feedTopic is a competition's feed, or a person's inbox, as far as this node knows it.
type feedTopic struct {
	topic   wire.Topic
	sub     uint32
	version uint64 // of the last item
	log     *feedLog
	frame   *Frame
	slots   []*Slot
	readAt  unit.InstantMs // wall clock of the last read by the poll
	told    uint64         // the newest version that the grain has spoken of
	known   bool           // all there was has been read once
	reading bool
	again   bool    // something came while reading
	stalled []*Slot // whose history could not be read; they ask again at the next poll
}

func (h *Hub) feedOf(t wire.Topic) *feedTopic {
	f := h.feeds[t]
	if f == nil {
		f = &feedTopic{topic: t, sub: h.number(), log: &feedLog{}}
		h.feeds[t] = f
	}
	return f
}

// contentOf is items as their topic carries them.
func contentOf(t wire.Topic, items []entry) content {
	if t.Kind == wire.Inbox {
		return &inbox{entriesOf[*livev1.Event](items)}
	}
	return &feed{entriesOf[*livev1.FeedItem](items)}
}

func entriesOf[T entry](items []entry) []T {
	of := make([]T, 0, len(items))
	for _, i := range items {
		if e, ok := i.(T); ok {
			of = append(of, e)
		}
	}
	return of
}

func asEntries[T entry](items []T) []entry {
	all := make([]entry, len(items))
	for i, e := range items {
		all[i] = e
	}
	return all
}

// read asks the views for what came after the last item.
func (f *feedTopic) read() []step.Out {
	if f.reading {
		f.again = true
		return nil
	}
	f.reading, f.again = true, false
	return []step.Out{ReadFeed{Topic: f.topic, After: f.version, Limit: feedPage}}
}

// poll reads if that is due.
func (f *feedTopic) poll(now step.Now) []step.Out {
	if f.topic.Kind == wire.Inbox && f.version >= f.told && f.readAt != 0 && now.Wall.Sub(f.readAt) < inboxPoll {
		return nil
	}
	f.readAt = now.Wall
	return f.read()
}

// onFeedUpdate: an item from the grain whose feed it is. If it follows what is known it is taken, else it is a hint
// to read.
func (h *Hub) onFeedUpdate(t wire.Topic, u *clusterv1.TopicUpdate) []step.Out {
	f := h.feeds[t]
	if f == nil {
		return nil
	}
	var item interface {
		entry
		proto.Message
	} = &livev1.FeedItem{}
	if t.Kind == wire.Inbox {
		item = &livev1.Event{}
	}
	if u.Version <= f.version {
		return nil // a copy
	}
	f.told = max(f.told, u.Version)
	if !f.known || u.Base != f.version || f.reading || proto.Unmarshal(u.Content, item) != nil || item.GetVersion() <= f.version {
		return f.read()
	}
	return f.append([]entry{item})
}

func (h *Hub) onFeedRead(r FeedRead) []step.Out {
	f := h.feeds[r.Ask.Topic]
	if f == nil {
		return nil
	}
	items := asEntries(r.Items)
	if f.topic.Kind == wire.Inbox {
		items = asEntries(r.Events)
	}
	if r.Ask.Slot != nil {
		return f.history(r, items)
	}
	f.reading = false
	if r.Err != nil {
		return nil // the poll reads again
	}
	f.known = f.known || !r.More
	outs := f.append(items)
	if f.topic.Kind == wire.Inbox && f.frame == nil {
		// Nothing yet: whoever watches is told so, and gets what comes as an event.
		f.frame = &Frame{Topic: f.topic, Epoch: feedEpoch, Sub: f.sub, content: contentOf(f.topic, nil), log: f.log}
		outs = append(outs, Publish{f.frame, f.slots})
	}
	if r.More || f.again {
		outs = append(outs, f.read()...)
	}
	return outs
}

// append takes items above the version that is known.
func (f *feedTopic) append(items []entry) []step.Out {
	for len(items) > 0 && items[0].GetVersion() <= f.version {
		items = items[1:]
	}
	if len(items) == 0 {
		return nil
	}
	log := &feedLog{from: f.log.from}
	log.items = append(append(log.items, f.log.items...), items...)
	if over := len(log.items) - feedLogItems; over > 0 {
		log.from = log.items[over-1].GetVersion()
		log.items = log.items[over:]
	}
	base := f.version
	f.version, f.log = items[len(items)-1].GetVersion(), log
	f.frame = &Frame{Topic: f.topic, Epoch: feedEpoch, Version: f.version, Base: base, Sub: f.sub, content: contentOf(f.topic, items), log: log}
	return []step.Out{Publish{f.frame, f.slots}}
}

// history is what one viewer has missed.
func (f *feedTopic) history(r FeedRead, items []entry) []step.Out {
	if r.Err != nil || len(items) == 0 {
		f.stalled = append(f.stalled, r.Ask.Slot)
		return nil
	}
	last := items[len(items)-1].GetVersion()
	return []step.Out{Publish{
		Frame: &Frame{Topic: f.topic, Epoch: feedEpoch, Version: last, Base: r.Ask.After, Sub: f.sub,
			content: contentOf(f.topic, items), log: &feedLog{from: r.Ask.After, items: items, private: true}},
		To: []*Slot{r.Ask.Slot},
	}}
}
