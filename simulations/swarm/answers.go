package swarm

import (
	"slices"
	"sync"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/id"
)

// Answer is where a command was written, as its client was told.
type Answer struct {
	Client  string // who sends one command after the other; empty: of many at once
	Stream  string // the grain, "<kind>/<id>"
	Command string // its id
	Version uint64 // of its last event
}

// Answers are the commands of a node's clients that were answered. The zero value is ready, nil keeps nothing.
type Answers struct {
	mu  sync.Mutex
	all []Answer
}

// Add keeps one.
func (a *Answers) Add(one Answer) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, one)
}

// All are those so far, each client's in the order in which it was answered.
func (a *Answers) All() []Answer {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// managed keeps the answer to a command of the management API.
func (a *Answers) managed(asked, answered any) {
	var one Answer
	switch r := asked.(type) {
	case *managev1.RegisterUserRequest:
		m, _ := answered.(*managev1.RegisterUserResponse)
		one = Answer{Stream: id.Of(id.User, m.GetUserId()).String(), Command: r.CommandId, Version: m.GetVersion()}
	case *managev1.RegisterDeviceRequest:
		m, _ := answered.(*managev1.RegisterDeviceResponse)
		one = Answer{Stream: id.Of(id.Device, m.GetDeviceId()).String(), Command: r.CommandId, Version: m.GetVersion()}
	case *managev1.CreateCompetitionRequest:
		m, _ := answered.(*managev1.CreateCompetitionResponse)
		one = Answer{Stream: id.Of(id.Competition, m.GetCompetitionId()).String(), Command: r.CommandId, Version: m.GetVersion()}
	case *managev1.CommandRequest:
		m, _ := answered.(*managev1.CommandResponse)
		one = Answer{Stream: id.Of(id.Competition, r.CompetitionId).String(), Command: r.Command.GetCall().GetCommandId(), Version: m.GetDone().GetVersion()}
	}
	if one.Command != "" {
		a.Add(one)
	}
}
