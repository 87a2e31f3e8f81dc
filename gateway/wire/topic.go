package wire

import (
	"strconv"
	"strings"

	"paceline/domain/fault"
	"paceline/domain/id"
)

// TopicKind is what a topic is about.
type TopicKind uint8

// The kinds of topics.
const (
	Board TopicKind = iota + 1
	Roster
	Positions
	Feed
	Workout
)

// Topic is a parsed topic.
type Topic struct {
	Kind TopicKind
	ID   string // of the competition; of the workout, without its person
}

// Faults of subscriptions.
var (
	ErrTopic = fault.New(fault.NotFound, "topic.unknown", "There is no such topic.")
	ErrCut   = fault.New(fault.Invalid, "topic.cut_unknown", "This topic has no such cut.")
)

var topicSuffix = map[string]TopicKind{"board": Board, "roster": Roster, "positions": Positions, "feed": Feed}

// ParseTopic reads "competition/{id}/board" (or roster, positions, feed) or "workout/{id}".
func ParseTopic(s string) (Topic, error) {
	root, rest, _ := strings.Cut(s, "/")
	switch root {
	case "competition":
		who, kind, _ := strings.Cut(rest, "/")
		k, ok := topicSuffix[kind]
		if !ok || id.Check(who) != nil {
			return Topic{}, ErrTopic
		}
		return Topic{k, who}, nil
	case "workout":
		if id.Check(rest) != nil {
			return Topic{}, ErrTopic
		}
		return Topic{Workout, rest}, nil
	}
	return Topic{}, ErrTopic
}

// String is the topic's name.
func (t Topic) String() string {
	switch t.Kind {
	case Board:
		return "competition/" + t.ID + "/board"
	case Roster:
		return "competition/" + t.ID + "/roster"
	case Positions:
		return "competition/" + t.ID + "/positions"
	case Feed:
		return "competition/" + t.ID + "/feed"
	case Workout:
	}
	return "workout/" + t.ID
}

// CutKind is how a cut chooses rows.
type CutKind uint8

// The kinds of cuts.
const (
	All CutKind = iota
	Top
	Category
	Around
)

// MaxTop bounds top:N.
const MaxTop = 200

// Cut is a parsed cut.
type Cut struct {
	Kind     CutKind
	N        uint32 // of Top: how many places; of Around: the entry
	Category string
}

// ParseCut reads "", "top:N", "category:NAME" or "around:ENTRY" and checks that the topic has such cuts.
func ParseCut(t Topic, s string) (Cut, error) {
	if s == "" {
		return Cut{}, nil
	}
	if t.Kind != Board && t.Kind != Positions {
		return Cut{}, ErrCut.With("only board and positions have cuts")
	}
	how, what, _ := strings.Cut(s, ":")
	switch how {
	case "top":
		n, err := strconv.ParseUint(what, 10, 16)
		if err != nil || n < 1 || n > MaxTop || what[0] == '0' {
			return Cut{}, ErrCut.With("top:1 to top:%d", MaxTop)
		}
		return Cut{Kind: Top, N: uint32(n)}, nil
	case "around":
		n, err := strconv.ParseUint(what, 10, 32)
		if err != nil || n < 1 || what[0] == '0' {
			return Cut{}, ErrCut.With("around:ENTRY")
		}
		return Cut{Kind: Around, N: uint32(n)}, nil
	case "category":
		if what == "" || len(what) > 64 {
			return Cut{}, ErrCut.With("category:NAME")
		}
		return Cut{Kind: Category, Category: what}, nil
	}
	return Cut{}, ErrCut
}

// String is the cut as clients write it.
func (c Cut) String() string {
	switch c.Kind {
	case Top:
		return "top:" + strconv.FormatUint(uint64(c.N), 10)
	case Around:
		return "around:" + strconv.FormatUint(uint64(c.N), 10)
	case Category:
		return "category:" + c.Category
	case All:
	}
	return ""
}
