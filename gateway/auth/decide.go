package auth

import (
	"paceline/domain/fault"
	"paceline/domain/id"
)

// Resource is what an operation is about, as far as a decision needs it.
type Resource struct {
	Person       string // whose data it is; of a reaction: who is cheered
	Device       string // "<affinity>/<id>"
	Public       bool   // a public competition
	Entrant      bool   // the principal has an entry in the competition
	Bound        bool   // and rides in it: the entry has a training
	Visible      bool   // of a reaction: the principal may see who is behind the entry
	Organization string // of the competition; empty: default
}

// Decision is the answer, with a stable reason if it is no.
type Decision struct {
	Allow  bool
	Reason string
}

// condition is when a role may do an operation.
type condition uint8

const (
	never      condition = iota // the zero value: what nobody thought of is denied
	always                      // harmless, or decided later by somebody who knows more
	own                         // the person's own data (a device: its owner's)
	ownDevice                   // the token's own device, or one registered for the person; for that person
	public                      // a public competition
	publicOrIn                  // a public competition, or one the principal has an entry in
	ofOrg                       // a competition of the operator's organization
	staff                       // an operator of the installation itself: people belong to no organization
	selfPublic                  // the principal itself, in a public competition
	riding                      // an entry of the principal rides in the competition
	claimed                     // the principal's own claim, or one on a device registered for it
	cheering                    // somebody else whom the principal may see, in a competition that it may watch
)

// row is one operation's rule for each role; all four must be written.
type row struct{ nobody, athlete, device, operator condition }

// table has one row for each operation, in the order of the constants. A missing row does not compile: see below.
var table = [...]row{
	/* Hello */ {always, always, always, always},
	/* OpenStream */ {never, ownDevice, ownDevice, never},
	/* CloseStream */ {never, always, always, never}, // only streams this session has opened
	/* SendTelemetry */ {never, always, always, never}, // only streams this session has opened
	/* SkipSamples */ {never, always, always, never}, // only streams this session has opened
	/* StartWorkout */ {never, own, own, never},
	/* PauseWorkout */ {never, own, own, never},
	/* ResumeWorkout */ {never, own, own, never},
	/* MarkLap */ {never, own, own, never},
	/* FinishWorkout */ {never, own, own, never},
	/* JoinCompetition */ {never, own, own, never},
	/* LeaveCompetition */ {never, own, own, never},
	/* BeReady */ {never, own, own, never},
	/* React */ {never, cheering, never, never},
	/* WatchBoard */ {public, publicOrIn, publicOrIn, ofOrg},
	/* WatchRoster */ {public, publicOrIn, publicOrIn, ofOrg}, // and redacted row by row
	/* WatchPositions */ {public, publicOrIn, publicOrIn, ofOrg},
	/* WatchEntrantPositions */ {never, riding, riding, ofOrg}, // and person by person: MaySee
	/* WatchOfficialPositions */ {never, never, never, ofOrg},
	/* WatchFeed */ {public, publicOrIn, publicOrIn, ofOrg},
	/* WatchWorkout */ {never, own, own, staff},
	/* WatchInbox */ {never, own, never, never},
	/* Unwatch */ {always, always, always, always},
	/* Ping */ {always, always, always, always},
	/* OfferClock */ {never, always, always, never}, // only streams this session has opened
	/* AnswerControl */ {never, always, always, never},

	/* RegisterUser */ {never, never, never, staff},
	/* ReadUser */ {never, own, never, staff},
	/* RegisterDevice */ {never, own, never, staff},
	/* ClaimDevice */ {never, own, never, staff},
	/* ReleaseDevice */ {never, claimed, never, staff},
	/* ReadDevice */ {never, ownDevice, ownDevice, staff},
	/* ReadTraining */ {never, own, own, staff},
	/* CreateCompetition */ {never, never, never, ofOrg},
	/* ReadCompetition */ {public, publicOrIn, publicOrIn, ofOrg},
	/* ListCompetitions */ {always, always, always, always}, // private ones are left out of the list
	/* AddEntry */ {never, selfPublic, never, ofOrg},
	/* WithdrawEntry */ {never, never, never, ofOrg},
	/* LockStartList */ {never, never, never, ofOrg},
	/* StartRace */ {never, never, never, ofOrg},
	/* DecideEntry */ {never, never, never, ofOrg},
	/* PenalizeEntry */ {never, never, never, ofOrg},
	/* PublishProvisional */ {never, never, never, ofOrg},
	/* MakeOfficial */ {never, never, never, ofOrg},
	/* CorrectResult */ {never, never, never, ofOrg},
	/* CancelCompetition */ {never, never, never, ofOrg},
	/* ReadResult */ {public, publicOrIn, publicOrIn, ofOrg},
	/* ExportBundle */ {never, never, never, ofOrg},
	/* ReadClock */ {always, always, always, always},
	/* BackUp */ {never, never, never, staff},
	/* RebuildViews */ {never, never, never, staff},
	/* WatchCluster */ {never, never, never, staff},
	/* RaiseLevel */ {never, never, never, staff},
}

// As many rows as operations, or this does not compile.
var _ [operations]struct{} = [len(table)]struct{}{}

// Decide is the one decision.
func Decide(p Principal, o Operation, r Resource) Decision {
	if o >= operations || p.Role >= Roles {
		return Decision{Reason: "unknown_operation"}
	}
	t := table[o]
	return [...]condition{t.nobody, t.athlete, t.device, t.operator}[p.Role].holds(p, r)
}

func (c condition) holds(p Principal, r Resource) Decision {
	switch c {
	case never:
	case always:
		return Decision{Allow: true}
	case own:
		return decide(r.Person != "" && p.Person() == r.Person, "not_yours")
	case ownDevice:
		return decide(p.mayUse(r), "not_your_device")
	case claimed:
		return decide(r.Person != "" && r.Person == p.ID || r.owner() == p.ID, "not_yours")
	case public:
		return decide(r.Public, "not_public")
	case publicOrIn:
		return decide(r.Public || r.Entrant, "not_public")
	case selfPublic:
		return decide(r.Public && r.Person != "" && p.Person() == r.Person, "not_yours")
	case riding:
		return decide(r.Bound, "not_riding")
	case cheering:
		switch {
		case !r.Public && !r.Entrant:
			return Decision{Reason: "not_public"}
		case r.Person == p.Person():
			return Decision{Reason: "yourself"}
		}
		return decide(r.Person != "" && r.Visible, "not_visible")
	case staff:
		return decide(organization(p.Organization) == id.DefaultOrganization, "other_organization")
	case ofOrg:
		return decide(organization(p.Organization) == organization(r.Organization), "other_organization")
	}
	return Decision{Reason: "role"}
}

// mayUse: a device only itself (whom it may stream for is the device grain's to say: it knows the claim); an
// athlete a device registered for that athlete, for no other person.
func (p Principal) mayUse(r Resource) bool {
	if p.Role == Device {
		return r.Device == p.ID
	}
	return r.owner() == p.ID && (r.Person == "" || r.Person == p.ID)
}

// owner is whom the device is registered for; of a shared machine that is nobody, and of no device too.
func (r Resource) owner() string { return id.Grain{Kind: id.Device, ID: r.Device}.Affinity() }

func decide(yes bool, reason string) Decision {
	if yes {
		return Decision{Allow: true}
	}
	return Decision{Reason: reason}
}

func organization(s string) string {
	if s == "" {
		return id.DefaultOrganization
	}
	return s
}

// The two refusals. The reason is their detail.
var (
	ErrDenied = fault.New(fault.Denied, "auth.denied", "You may not do this.")
	ErrNobody = fault.New(fault.Unauthentic, "auth.token_needed", "This needs an access token.")
)

// Check is Decide as an error: nil, or who you are matters (ErrNobody) or it does not help (ErrDenied).
func Check(p Principal, o Operation, r Resource) error {
	d := Decide(p, o, r)
	switch {
	case d.Allow:
		return nil
	case p.Role == Nobody:
		return ErrNobody.With("%v: %s", o, d.Reason)
	}
	return ErrDenied.With("%v: %s", o, d.Reason)
}
