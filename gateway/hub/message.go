package hub

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// Conn names a connection of this node.
type Conn uint64

// Subscribe makes the hub offer a cut's frames to a slot. The same topic and cut again replaces the slot.
type Subscribe struct {
	Conn     Conn
	Topic    wire.Topic
	Cut      wire.Cut
	Viewer   auth.Principal
	Training string // of a workout: "<person>/<id>"
	Slot     *Slot
}

// Unsubscribe ends it.
type Unsubscribe struct {
	Conn  Conn
	Topic wire.Topic
	Cut   wire.Cut
}

// Follow holds a replica of a competition's board while the connection lives.
type Follow struct {
	Conn        Conn
	Competition string
}

// Gone ends everything of a connection.
type Gone struct{ Conn Conn }

// Behind says that a feed slot needs items that its frame's log no longer holds.
type Behind struct {
	Slot  *Slot
	Topic wire.Topic
	After uint64
}

// Resync says that updates of a topic were lost on the way (a full queue), or of any topic ("").
type Resync struct{ Topic string }

// MembersChanged says that grains may live elsewhere from now on.
type MembersChanged struct{}

// Person is one row of a roster before it is redacted.
type Person struct {
	Entry      uint32
	UserID     string
	Name       string // empty: erased
	Club       string
	Flag       string
	Category   string
	Heat       uint32
	Visibility userv1.Visibility
	Minor      bool
	Erased     bool
}

// People is a roster as the views hold it. Version rises with every change of any row.
type People struct {
	Version uint64
	Rows    []Person
}

// RosterRead is the outcome of a ReadRoster.
type RosterRead struct {
	Competition string
	People      People
	Err         error
}

// FeedRead is the outcome of a ReadFeed: the items after a version, in order.
type FeedRead struct {
	Ask    ReadFeed
	Items  []*livev1.FeedItem
	Events []*livev1.Event // of an inbox
	More   bool
	Err    error
}

// ReadRoster is an Out: read the competition's people from the views.
type ReadRoster struct{ Competition string }

// ReadFeed is an Out: read what happened after a version, in a competition or to a person (of an inbox, whose it is
// is the topic's id). Slot is set if only one viewer needs it.
type ReadFeed struct {
	Topic wire.Topic
	After uint64
	Limit int
	Slot  *Slot
}

// Publish is an Out: offer the frame to these slots, before the next Step (To is the hub's own list).
type Publish struct {
	Frame *Frame
	To    []*Slot
}

// Refuse is an Out: the subscription is not served.
type Refuse struct {
	Slot *Slot
	Err  error
}

// Again is an Out: the slot asks for its history once more.
type Again struct{ Slot *Slot }
