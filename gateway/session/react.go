package session

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// ErrReactions is the answer to a client that cheers without a pause. Whom it cheers has bounds of his own.
var ErrReactions = fault.Later("reaction.too_many", "That is enough cheering for a moment; try again later.")

// ErrReactionEntry is the answer to a reaction that names no entry.
var ErrReactionEntry = fault.New(fault.Invalid, "reaction.entry", "The reaction does not say which entry it is for.")

// onReact asks the views who rides the entry, and whether this principal may know that: nobody is reached by somebody
// who may not see him.
func (s *Session) onReact(now step.Now, c *livev1.Command, r *livev1.React) []step.Out {
	var err error
	ok, _ := s.reactions.take(now.Wall, 1)
	switch {
	case r.GetEntry() == 0:
		err = ErrReactionEntry
	case len(s.commands) >= s.cfg.MaxCommands:
		err = ErrCommands.With("at most %d", s.cfg.MaxCommands)
	case !ok:
		err = ErrReactions
	}
	if err != nil {
		return []step.Out{commandResult(c, nil, err)}
	}
	s.commands[c.CommandId] = true
	l := s.look(&looking{react: c}, wire.Topic{Kind: wire.Board, ID: r.CompetitionId})
	l.Entry = r.Entry
	return []step.Out{l}
}

// onReactLooked sends the reaction to whom it is for.
func (s *Session) onReactLooked(now step.Now, c *livev1.Command, l Looked) []step.Out {
	err := l.Err
	if err == nil {
		err = auth.Check(s.principal, auth.React, l.Resource)
	}
	if err != nil {
		delete(s.commands, c.CommandId)
		return []step.Out{commandResult(c, nil, err)}
	}
	r := c.GetReact()
	return []step.Out{s.command(now, c, id.Of(id.User, l.Resource.Person), &userv1.React{
		Call: s.caller(c), CompetitionId: r.GetCompetitionId(), Entry: r.GetEntry(), Reaction: r.GetReaction()})}
}
