// Package user is the rules of a person's profile: what others may be shown, and to whom.
//
// It is not an account (no passwords, no roles) and it does not show anything: rosters ask for the profile and the
// gateway decides who sees it. A handle is unique only in a view: no grain can know all others.
//
// Phases: nothing, then registered. Invariants, asked for by State.Check: a registered profile keeps the rules of
// its fields and has a visibility, private if nobody has chosen one.
package user
