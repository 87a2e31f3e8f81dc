package devicegrain

import (
	"errors"
	"strconv"
	"strings"

	"paceline/actors/machine"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// outcome takes the result of one I/O.
type outcome func(now step.Now, d persistence.Done)

const (
	tickRepeat = "repeat/"
	tickAttach = "attach/"
)

func (s *Shell) do(d persistence.Do, then outcome) {
	s.tags++
	machine.Set(&s.io, s.tags, then)
	d.Tag = s.tags
	s.out(d)
}

func (s *Shell) done(now step.Now, d persistence.Done) {
	if outs, ours := s.machine.Step(now, d); ours {
		s.take(now, outs)
		return
	}
	then := s.io[d.Tag]
	if then == nil {
		return
	}
	delete(s.io, d.Tag)
	then(now, d)
}

func (s *Shell) tick(now step.Now, t step.Tick) {
	if outs, ours := s.machine.Step(now, t); ours {
		s.take(now, outs)
		return
	}
	if name, ok := strings.CutPrefix(t.Key, tickAttach); ok {
		s.attach(now, s.lanes[name])
		return
	}
	again := s.repeats[t.Key]
	if again == nil {
		return
	}
	delete(s.repeats, t.Key)
	again(now)
}

// later calls again once, after a while.
func (s *Shell) later(now step.Now, wait unit.DurationMs, again func(now step.Now)) {
	s.tags++
	key := tickRepeat + strconv.FormatUint(s.tags, 10)
	machine.Set(&s.repeats, key, again)
	s.out(step.After{Key: key, At: now.Wall.Add(wait)})
}

// until repeats the very same operation, with growing pauses, until it has an outcome. All that a device asks of
// the series is idempotent, so an unknown outcome is answered by doing it again. Any other failure ends the
// activation: its clients come again, to one that reads everything anew.
func (s *Shell) until(now step.Now, op persistence.Op, then func(now step.Now, result any)) {
	s.try(now, persistence.Do{Op: op}, s.n.RetryFirst, then)
}

func (s *Shell) try(now step.Now, do persistence.Do, wait unit.DurationMs, then func(now step.Now, result any)) {
	s.do(do, func(now step.Now, d persistence.Done) {
		switch {
		case d.Err == nil:
			then(now, d.Result)
		case errors.Is(d.Err, persistence.ErrErased):
			s.stop(now, "erased", ErrErased)
		case errors.Is(d.Err, persistence.ErrUnavailable), errors.Is(d.Err, persistence.ErrUnknown):
			if _, write := do.Op.(persistence.PutBlockOp); write && step.RuleRepeatSameWrite.Off() && errors.Is(d.Err, persistence.ErrUnknown) {
				then(now, persistence.BlockKey{}) // the outcome is guessed
				return
			}
			s.later(now, wait, func(now step.Now) { s.try(now, do, min(2*wait, s.n.RetryMost), then) })
		default:
			s.stop(now, "store: "+d.Err.Error(), d.Err)
		}
	})
}
