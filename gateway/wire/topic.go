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
	Inbox
)

// Topic is a parsed topic.
type Topic struct {
	Kind TopicKind
	ID   string // of the competition; of the workout, without its person; of an inbox whose it is, which no client names
}

// Faults of subscriptions.
var (
	ErrTopic = fault.New(fault.NotFound, "topic.unknown", "There is no such topic.")
	ErrCut   = fault.New(fault.Invalid, "topic.cut_unknown", "This topic has no such cut.")
)

var topicSuffix = map[string]TopicKind{"board": Board, "roster": Roster, "positions": Positions, "feed": Feed}

// ParseTopic reads "competition/{id}/board" (or roster, positions, feed), "workout/{id}" or "inbox".
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
	case "inbox":
		if s == root {
			return Topic{Kind: Inbox}, nil
		}
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
	case Inbox:
		return "inbox" // whose it is, the connection says
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

// Audience is for whom a map is made. Wire value: append only.
type Audience uint8

// The audiences of positions.
const (
	Public   Audience = 0
	Entrant  Audience = 1
	Official Audience = 2
	// Audiences is how many there are.
	Audiences = 3
)

var audienceNames = [Audiences]string{"public", "entrant", "official"}

// String is the audience's name.
func (a Audience) String() string {
	if a < Audiences {
		return audienceNames[a]
	}
	return "unknown"
}

// Cut is a parsed cut.
type Cut struct {
	Kind     CutKind
	N        uint32 // of Top: how many places; of Around: the entry
	Category string
	Audience Audience // of positions
}

// audiencePrefix names the audience of positions, before the cut itself: "audience:official,top:10".
const audiencePrefix = "audience:"

// ParseCut reads "", "top:N", "category:NAME" or "around:ENTRY" and checks that the topic has such cuts. A cut of
// positions may begin with "audience:entrant" or "audience:official"; without it is the public's.
func ParseCut(t Topic, s string) (Cut, error) {
	if s == "" {
		return Cut{}, nil
	}
	if t.Kind != Board && t.Kind != Positions {
		return Cut{}, ErrCut.With("only board and positions have cuts")
	}
	name, named := strings.CutPrefix(s, audiencePrefix)
	if !named {
		return parseRows(s)
	}
	if t.Kind != Positions {
		return Cut{}, ErrCut.With("only positions have audiences")
	}
	name, rest, more := strings.Cut(name, ",")
	var c Cut
	if more {
		var err error
		if c, err = parseRows(rest); err != nil {
			return Cut{}, err
		}
	}
	switch name {
	case Entrant.String():
		c.Audience = Entrant
	case Official.String():
		c.Audience = Official
	default:
		return Cut{}, ErrCut.With("audience:entrant, audience:official, or none for the public's")
	}
	return c, nil
}

func parseRows(s string) (Cut, error) {
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
	rows := c.rows()
	if c.Audience == Public {
		return rows
	}
	name := audiencePrefix + c.Audience.String()
	if rows == "" {
		return name
	}
	return name + "," + rows
}

func (c Cut) rows() string {
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
