package auth

import (
	"strings"

	"paceline/domain/fault"
	"paceline/domain/id"
)

// Role is what kind of principal asks.
type Role uint8

// The roles. Nobody is anyone without a token.
const (
	Nobody   Role = 0
	Athlete  Role = 1
	Device   Role = 2
	Operator Role = 3
	Roles         = 4
)

var roleNames = [Roles]string{"nobody", "athlete", "device", "operator"}

// String is the role's name, as in a token's subject.
func (r Role) String() string {
	if r < Roles {
		return roleNames[r]
	}
	return "unknown"
}

// Principal is who asks. Its zero value is nobody.
type Principal struct {
	Role         Role
	ID           string // user id; of a device "<affinity>/<id>"; empty for nobody
	Organization string // of an operator: only its competitions
}

// ErrSubject is the answer to a subject that names no principal.
var ErrSubject = fault.New(fault.Unauthentic, "auth.subject", "The token does not say who you are.")

// ParsePrincipal reads "athlete:<id>", "device:<affinity>/<id>" or "operator:<id>".
func ParsePrincipal(s string) (Principal, error) {
	role, who, _ := strings.Cut(s, ":")
	switch role {
	case "athlete", "operator":
		if err := id.Check(who); err != nil {
			return Principal{}, ErrSubject
		}
		if role == "athlete" {
			return Principal{Role: Athlete, ID: who}, nil
		}
		return Principal{Role: Operator, ID: who, Organization: id.DefaultOrganization}, nil
	case "device":
		if err := id.CheckScoped(who); err != nil {
			return Principal{}, ErrSubject
		}
		return Principal{Role: Device, ID: who}, nil
	}
	return Principal{}, ErrSubject
}

// String is the principal as commands carry it in Call.by.
func (p Principal) String() string {
	if p.Role == Nobody {
		return "nobody"
	}
	return p.Role.String() + ":" + p.ID
}

// Person is whose data the principal may act for by itself: an athlete's own, a device's owner (the affinity it
// was registered with). A shared machine, its own affinity, acts for nobody until a stream is opened on it.
func (p Principal) Person() string {
	switch p.Role {
	case Athlete:
		return p.ID
	case Device:
		owner, local, _ := strings.Cut(p.ID, "/")
		if owner != local {
			return owner
		}
	case Nobody, Operator:
	}
	return ""
}
