package hub

import (
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/gateway/wire"
)

const (
	// feedLogItems is how many of the newest items a feed keeps; older ones come from the views.
	feedLogItems = 1024
	// feedPage is how many items one read of history returns at most.
	feedPage = 256
	// feedPoll is how often a watched feed looks for news that nobody told it of.
	feedPoll = 1000 // ms, wall clock
	// feedEpoch: feeds have one epoch for ever; their version is the journal's.
	feedEpoch = 1
)

// feedLog is the newest items of a feed: all with a version above from. Immutable.
type feedLog struct {
	from    uint64
	items   []*livev1.FeedItem
	private bool // history for one viewer
}

// since is a snapshot of the items above seen, which must be at or above from.
func (l *feedLog) since(f *Frame, seen uint64, e wire.Encoding) []byte {
	i := len(l.items)
	for i > 0 && l.items[i-1].Version > seen {
		i--
	}
	s := &livev1.Snapshot{Topic: f.Topic.String(), Epoch: f.Epoch, Version: f.Version, Sub: f.Sub,
		Content: &livev1.Snapshot_Feed{Feed: &livev1.Feed{Items: l.items[i:]}}}
	return wire.Encode(e, &livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: s}})
}

// feedTopic is a competition's feed as far as this node knows it.
type feedTopic struct {
	competition string
	sub         uint32
	version     uint64 // of the last item
	log         *feedLog
	frame       *Frame
	slots       []*Slot
	reading     bool
	again       bool    // something came while reading
	stalled     []*Slot // whose history could not be read; they ask again at the next poll
}

func (h *Hub) feedOf(competition string) *feedTopic {
	f := h.feeds[competition]
	if f == nil {
		f = &feedTopic{competition: competition, sub: h.number(), log: &feedLog{}}
		h.feeds[competition] = f
	}
	return f
}

// read asks the views for what came after the last item.
func (f *feedTopic) read() []step.Out {
	if f.reading {
		f.again = true
		return nil
	}
	f.reading, f.again = true, false
	return []step.Out{ReadFeed{Competition: f.competition, After: f.version, Limit: feedPage}}
}

// onFeedUpdate: an item from the competition. If it follows what is known it is taken, else it is a hint to read.
func (h *Hub) onFeedUpdate(t wire.Topic, u *clusterv1.TopicUpdate) []step.Out {
	f := h.feeds[t.ID]
	if f == nil {
		return nil
	}
	item := &livev1.FeedItem{}
	if u.Base == 0 || u.Base != f.version || f.reading || proto.Unmarshal(u.Content, item) != nil || item.Version <= f.version {
		return f.read()
	}
	return f.append(t, []*livev1.FeedItem{item})
}

func (h *Hub) onFeedRead(r FeedRead) []step.Out {
	topic := wire.Topic{Kind: wire.Feed, ID: r.Ask.Competition}
	f := h.feeds[r.Ask.Competition]
	if f == nil {
		return nil
	}
	if r.Ask.Slot != nil {
		return f.history(topic, r)
	}
	f.reading = false
	if r.Err != nil {
		return nil // the poll reads again
	}
	outs := f.append(topic, r.Items)
	if r.More || f.again {
		outs = append(outs, f.read()...)
	}
	return outs
}

// append takes items above the version that is known.
func (f *feedTopic) append(t wire.Topic, items []*livev1.FeedItem) []step.Out {
	for len(items) > 0 && items[0].Version <= f.version {
		items = items[1:]
	}
	if len(items) == 0 {
		return nil
	}
	log := &feedLog{from: f.log.from}
	log.items = append(append(log.items, f.log.items...), items...)
	if over := len(log.items) - feedLogItems; over > 0 {
		log.from = log.items[over-1].Version
		log.items = log.items[over:]
	}
	base := f.version
	f.version, f.log = items[len(items)-1].Version, log
	f.frame = &Frame{Topic: t, Epoch: feedEpoch, Version: f.version, Base: base, Sub: f.sub, content: &feed{items}, log: log}
	return []step.Out{Publish{f.frame, f.slots}}
}

// history is what one viewer has missed.
func (f *feedTopic) history(t wire.Topic, r FeedRead) []step.Out {
	if r.Err != nil || len(r.Items) == 0 {
		f.stalled = append(f.stalled, r.Ask.Slot)
		return nil
	}
	last := r.Items[len(r.Items)-1].Version
	return []step.Out{Publish{
		Frame: &Frame{Topic: t, Epoch: feedEpoch, Version: last, Base: r.Ask.After, Sub: f.sub,
			content: &feed{r.Items}, log: &feedLog{from: r.Ask.After, items: r.Items, private: true}},
		To: []*Slot{r.Ask.Slot},
	}}
}
