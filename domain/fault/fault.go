// Package fault is how rules and the edge say no.
//
// A fault has a kind (what sort of refusal, a wire value), a stable code that programs decide on, a sentence
// for a person, and says whether trying again can help. Everything that is not a Fault is Internal: logged
// with its cause at the edge and shown as one neutral sentence.
package fault

import (
	"errors"
	"fmt"
)

// Kind is a wire value: append only, never reorder.
type Kind uint8

// The kinds, from the caller's point of view.
const (
	Internal    Kind = 0 // our mistake
	Invalid     Kind = 1 // the request can never be right
	Denied      Kind = 2 // not this caller
	NotFound    Kind = 3 // no such thing
	Conflict    Kind = 4 // not in this state
	Exhausted   Kind = 5 // too much, too fast, too large
	Unavailable Kind = 6 // not now; the same request may work later
	Unauthentic Kind = 7 // who are you?
)

// Fault is a refusal. Rules return package variables made by New; With adds the particulars.
type Fault struct {
	Kind    Kind
	Code    string // stable, "<slice>.<reason>"
	Message string // one sentence for a person
	Retry   bool   // the same request may succeed later
	Detail  string // particulars: expected values, field names; never personal data
}

// New makes a fault that trying again cannot help.
func New(k Kind, code, message string) *Fault { return &Fault{Kind: k, Code: code, Message: message} }

// Later makes a fault of kind Unavailable that says: try again.
func Later(code, message string) *Fault {
	return &Fault{Kind: Unavailable, Code: code, Message: message, Retry: true}
}

// NotYet makes a fault of kind Conflict that says: try again when the state has changed. Unlike Later it is an answer:
// nobody on the way to the caller repeats the question.
func NotYet(code, message string) *Fault {
	return &Fault{Kind: Conflict, Code: code, Message: message, Retry: true}
}

// With is the same fault with particulars.
func (f *Fault) With(format string, args ...any) *Fault {
	g := *f
	g.Detail = fmt.Sprintf(format, args...)
	return &g
}

func (f *Fault) Error() string {
	if f.Detail != "" {
		return f.Code + ": " + f.Message + " (" + f.Detail + ")"
	}
	return f.Code + ": " + f.Message
}

// Is compares codes, so that errors.Is(err, competition.ErrNotOpen) holds with particulars added.
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && t.Code == f.Code
}

// Of finds the fault in err's chain; anything else becomes the neutral internal fault.
func Of(err error) *Fault {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return New(Internal, "internal", "Something went wrong on our side.")
}
