package session

import (
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// ErrWorkout is the answer to a workout command that names none.
var ErrWorkout = fault.New(fault.Invalid, "command.workout_needed", "The command does not say which workout.")

// ErrPerson is the answer to a shared machine that rides for nobody.
var ErrPerson = fault.New(fault.Conflict, "command.nobody_rides", "This machine has no open stream of that workout.")

func (s *Session) onCommand(now step.Now, c *livev1.Command) []step.Out {
	if r := c.GetReact(); r != nil && !s.commands[c.CommandId] {
		return s.onReact(now, c, r)
	}
	to, msg, err := s.translate(c)
	if err == nil && s.commands[c.CommandId] {
		return nil // the first one is under way and will be answered
	}
	if err == nil && len(s.commands) >= s.cfg.MaxCommands {
		err = ErrCommands.With("at most %d", s.cfg.MaxCommands)
	}
	if err != nil {
		return []step.Out{commandResult(c, nil, err)}
	}
	s.commands[c.CommandId] = true
	return []step.Out{s.command(now, c, to, msg)}
}

// command asks a grain and answers with a command_result.
func (s *Session) command(now step.Now, c *livev1.Command, to id.Grain, msg proto.Message) step.Out {
	return s.ask(now, request{
		to: to, msg: msg, attempts: s.cfg.Attempts,
		done: func(_ step.Now, m proto.Message, err error) []step.Out {
			delete(s.commands, c.CommandId)
			return s.onCommandDone(to, c, m, err)
		},
	})
}

// translate finds the grain and the message of a command, and whether the principal may give it.
func (s *Session) translate(c *livev1.Command) (id.Grain, proto.Message, error) {
	switch v := c.Command.(type) {
	case *livev1.Command_StartWorkout:
		start := &trainingv1.Command_Start{Start: &trainingv1.Start{WorkoutId: c.WorkoutId, Start: v.StartWorkout}}
		return s.forTraining(auth.StartWorkout, c, &trainingv1.Command{Command: start})
	case *livev1.Command_Pause:
		return s.forTraining(auth.PauseWorkout, c, &trainingv1.Command{Command: &trainingv1.Command_Pause{Pause: v.Pause}})
	case *livev1.Command_Resume:
		return s.forTraining(auth.ResumeWorkout, c, &trainingv1.Command{Command: &trainingv1.Command_Resume{Resume: v.Resume}})
	case *livev1.Command_Lap:
		return s.forTraining(auth.MarkLap, c, &trainingv1.Command{Command: &trainingv1.Command_Lap{Lap: v.Lap}})
	case *livev1.Command_FinishWorkout:
		finish := &trainingv1.Command_Finish{Finish: v.FinishWorkout}
		return s.forTraining(auth.FinishWorkout, c, &trainingv1.Command{Command: finish})
	case *livev1.Command_Join:
		return s.join(c, v.Join)
	case *livev1.Command_Ready:
		return s.ready(c, v.Ready)
	case *livev1.Command_Leave:
		return s.leave(c, v.Leave)
	case *livev1.Command_React: // under way: what it is for is being looked up
		return id.Grain{}, nil, nil
	}
	return id.Grain{}, nil, wire.ErrUnknownMessage
}

// person is for whom the principal commands a workout: an athlete for itself; a device for who has claimed it
// (which the device grain said when it opened the workout's stream), else for its owner.
func (s *Session) person(workout string) string {
	if s.principal.Role == auth.Device {
		for _, st := range s.streams {
			if st.open && workout != "" && st.spec.WorkoutId == workout {
				return st.person
			}
		}
	}
	return s.principal.Person()
}

// may decides about a command for a person. A device that has an open stream for a person acts for that person:
// its claim was checked when the stream was opened.
func (s *Session) may(op auth.Operation, person string) error {
	if person == "" && s.principal.Role == auth.Device {
		return ErrPerson
	}
	for _, st := range s.streams {
		if st.open && s.principal.Role == auth.Device && st.person == person {
			return auth.Check(auth.Principal{Role: auth.Athlete, ID: person}, op, auth.Resource{Person: person})
		}
	}
	return auth.Check(s.principal, op, auth.Resource{Person: person})
}

func (s *Session) caller(c *livev1.Command) *clusterv1.Call {
	call := s.call()
	call.CommandId = c.CommandId
	return call
}

func (s *Session) forTraining(op auth.Operation, c *livev1.Command, msg *trainingv1.Command) (id.Grain, proto.Message, error) {
	person := s.person(c.WorkoutId)
	if err := s.may(op, person); err != nil {
		return id.Grain{}, nil, err
	}
	if c.WorkoutId == "" {
		return id.Grain{}, nil, ErrWorkout
	}
	msg.Call = s.caller(c)
	return id.Scoped(id.Training, person, c.WorkoutId), msg, nil
}

func (s *Session) join(c *livev1.Command, j *livev1.Join) (id.Grain, proto.Message, error) {
	person := s.person(c.WorkoutId)
	if err := s.may(auth.JoinCompetition, person); err != nil {
		return id.Grain{}, nil, err
	}
	if c.WorkoutId == "" {
		return id.Grain{}, nil, ErrWorkout
	}
	return id.Of(id.Competition, j.CompetitionId), &competitionv1.Command{
		Call: s.caller(c),
		Command: &competitionv1.Command_Join{Join: &competitionv1.Join{
			UserId: person, Training: person + "/" + c.WorkoutId, PrimaryStreamId: j.PrimaryStreamId}},
	}, nil
}

func (s *Session) ready(c *livev1.Command, r *livev1.Ready) (id.Grain, proto.Message, error) {
	person := s.person(c.WorkoutId)
	if err := s.may(auth.BeReady, person); err != nil {
		return id.Grain{}, nil, err
	}
	return id.Of(id.Competition, r.CompetitionId), &competitionv1.Command{
		Call:    s.caller(c),
		Command: &competitionv1.Command_Ready{Ready: &competitionv1.Ready{UserId: person}},
	}, nil
}

// leave withdraws the person's own entry; which one that is, the competition knows.
func (s *Session) leave(c *livev1.Command, l *livev1.Leave) (id.Grain, proto.Message, error) {
	person := s.person(c.WorkoutId)
	if err := s.may(auth.LeaveCompetition, person); err != nil {
		return id.Grain{}, nil, err
	}
	return id.Of(id.Competition, l.CompetitionId), &competitionv1.Command{
		Call:    s.caller(c),
		Command: &competitionv1.Command_Leave{Leave: &competitionv1.Leave{UserId: person}},
	}, nil
}

func (s *Session) onCommandDone(to id.Grain, c *livev1.Command, m proto.Message, err error) []step.Out {
	if err != nil {
		return []step.Out{commandResult(c, nil, err)}
	}
	result := &livev1.CommandResult{Stream: to.String()}
	switch done := m.(type) {
	case *clusterv1.Ack:
		result.Version = done.Version
		if done.Stream != "" {
			result.Stream = done.Stream
		}
	case *competitionv1.CommandDone:
		result.Version, result.Entry = done.Version, done.Entry
	default:
		return []step.Out{commandResult(c, nil, errAnswer(m))}
	}
	outs := []step.Out{commandResult(c, result, nil)}
	if join, ok := c.Command.(*livev1.Command_Join); ok && result.Entry != 0 {
		for _, st := range s.streams {
			if st.spec.WorkoutId == c.WorkoutId {
				outs = append(outs, s.bind(st, join.Join.CompetitionId, result.Entry)...)
			}
		}
	}
	return outs
}

func commandResult(c *livev1.Command, r *livev1.CommandResult, err error) Frame {
	if r == nil {
		r = &livev1.CommandResult{}
	}
	r.CommandId = c.CommandId
	if err != nil {
		r.Error = wire.ErrorOf(err)
	}
	return frame(&livev1.ServerMessage_CommandResult{CommandResult: r})
}
