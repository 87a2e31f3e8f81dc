package auth

import userv1 "paceline/api/gen/paceline/user/v1"

// Viewer is who looks at a person in a roster.
type Viewer struct {
	Role    Role
	Self    bool // it is the person
	Entrant bool // in the same race
}

// MaySee decides whether a viewer learns who is behind an entry number. A minor is never shown to the public, and
// a visibility that nobody has chosen is private.
func MaySee(v Viewer, visibility userv1.Visibility, minor bool) bool {
	if v.Self || v.Role == Operator {
		return true
	}
	switch visibility {
	case userv1.Visibility_VISIBILITY_PUBLIC:
		return !minor || v.Entrant
	case userv1.Visibility_VISIBILITY_ENTRANTS:
		return v.Entrant
	case userv1.Visibility_VISIBILITY_UNSPECIFIED, userv1.Visibility_VISIBILITY_PRIVATE:
	}
	return false
}
