package world

import (
	"fmt"
	"slices"

	"paceline/actors/competition"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// notedGate is a gate that the race knew of at some time.
type notedGate struct {
	entry uint32
	gate  competition.GateTime
}

// watchEchoes checks each echo when it leaves: every gate, finish and status of the report that it echoes is in the
// journal.
func (w *World) watchEchoes() {
	reports := map[string]*competitionv1.Report{}
	key := func(entry uint32, b basis.Basis) string { return fmt.Sprintf("%d %v", entry, b) }
	in, out := w.onMessage, w.onOut
	w.onMessage = func(a *activation, msg any, from step.Return) bool {
		switch m := msg.(type) {
		case *competitionv1.Report:
			reports[key(m.Entry, track.BasisFrom(m.Basis))] = m
		case *competitionv1.SettleAnswer:
			reports[key(m.Report.GetEntry(), track.BasisFrom(m.Report.GetBasis()))] = m.Report
		}
		return in != nil && in(a, msg, from)
	}
	w.onOut = func(a *activation, o step.Out) bool {
		if send, ok := o.(step.Send); ok {
			if e, ok := send.Msg.(*trainingv1.ReportEcho); ok {
				w.checkEcho(e.Entry, reports[key(e.Entry, track.BasisFrom(e.Basis))])
			}
		}
		return out != nil && out(a, o)
	}
}

func (w *World) checkEcho(number uint32, r *competitionv1.Report) {
	s, _ := w.race()
	e := s.Entry(number)
	if e == nil || r == nil || e.Answered > 0 {
		return // what is beyond the named input is told, not taken
	}
	for _, g := range r.Gates {
		at := unit.InstantUs(g.AtUs)
		if at < s.GunOf(e).Us() || at > s.CutoffAt.Us() || s.GunAt == 0 {
			continue
		}
		if !slices.Contains(e.Gates, competition.GateTime{Gate: g.Gate, At: at}) {
			w.failf("entry %d: gate %d is echoed and not in the journal", number, g.Gate)
		}
	}
}

// checkStreamed: what the trainings reported by themselves was right; the settle found nothing that they had missed.
func (w *World) checkStreamed() {
	s := competition.New()
	gates := map[uint32]string{}
	for _, r := range w.journal(w.raceGrain()) {
		e := decode(w.raceGrain().Kind, r)
		if _, ok := e.(competition.SettleBegun); ok && len(gates) == 0 {
			for _, e := range s.Entries() {
				gates[e.Number] = fmt.Sprint(e.Gates)
			}
		}
		s.Apply(e.(competition.Event))
	}
	for _, e := range s.Entries() {
		if now := fmt.Sprint(e.Gates); now != gates[e.Number] {
			w.failf("entry %d: before the settle gates %s, after it %s", e.Number, gates[e.Number], now)
		}
	}
}
