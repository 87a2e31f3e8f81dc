package competition

import (
	"paceline/actors/leaderboard"
	"paceline/domain/unit"
)

// FeedItem is what the public reads when something has happened. Instants are those of the fact, 0 if it has none.
type FeedItem struct {
	Kind   string // stable
	Entry  uint32
	Gate   uint32
	GateAt unit.InstantUs
	At     unit.InstantMs
	Text   string // a reason or a decision, never a name
}

// FeedOf is the feed item of an event, or false: not every fact is news.
func FeedOf(ev Event) (FeedItem, bool) {
	switch ev := ev.(type) {
	case RaceStarted:
		return FeedItem{Kind: "started", At: ev.GunAt}, true
	case GateTaken:
		return FeedItem{Kind: "gate", Entry: ev.Entry, Gate: ev.Gate, GateAt: ev.At}, true
	case GateRevised:
		return FeedItem{Kind: "gate_revised", Entry: ev.Entry, Gate: ev.Gate, GateAt: ev.To, Text: ev.Why}, true
	case StatusChanged:
		if ev.Status == leaderboard.Finished {
			return FeedItem{Kind: "finished", Entry: ev.Entry}, true
		}
		return FeedItem{Kind: "status", Entry: ev.Entry, Text: ev.Status.String()}, true
	case EntryWithdrawn:
		return FeedItem{Kind: "withdrawn", Entry: ev.Entry}, true
	case ReviewChanged:
		if ev.Review {
			return FeedItem{Kind: "review", Entry: ev.Entry, Text: ev.Reason}, true
		}
	case PenaltyAdded:
		return FeedItem{Kind: "penalty", Entry: ev.Entry, Text: ev.Reason}, true
	case Decided:
		return FeedItem{Kind: "decided", Entry: ev.Entry, Text: ev.Decision}, true
	case LateInput:
		return FeedItem{Kind: "late_input", Entry: ev.Entry}, true
	case ResultPublished:
		return FeedItem{Kind: resultKinds[ev.Status], At: ev.At, Text: ev.Why}, true
	case Cancelled:
		return FeedItem{Kind: "cancelled", Text: ev.Reason}, true
	}
	return FeedItem{}, false
}

var resultKinds = map[ResultStatus]string{ResultProvisional: "provisional", ResultOfficial: "official", ResultCorrected: "corrected"}
