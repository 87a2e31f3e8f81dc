package machine

import (
	"paceline/domain/step"
	"paceline/persistence"
)

// fenced ends an activation that another one has overtaken. What waits is answered at once; then the journal is asked,
// once, whom the newest Opened names: that member has the grain now.
func (m *Machine[S, C, E]) fenced(now step.Now, why string) {
	if !m.drop(now, ErrStopped) {
		return
	}
	if m.spec.OpenedBy == nil {
		m.out(step.Stop{Why: why, Fenced: true})
		return
	}
	m.do(persistence.ReadJournalOp{Grain: m.cfg.Grain, After: m.committed, Limit: journalPageEvents},
		func(_ step.Now, d persistence.Done) {
			page, _ := d.Result.(persistence.JournalRead) // without an outcome: what was known before
			by := m.openedBy
			for _, r := range page.Records {
				if e, err := m.spec.Decode(r.Kind, r.Format, r.Payload); err == nil {
					if member, ok := m.spec.OpenedBy(e); ok {
						by = member
					}
				}
			}
			m.out(step.Stop{Why: why, Fenced: true, By: by})
		})
	m.asking = machineTag | m.tags
}

// noteOpened remembers who has opened the newest epoch, of what others have written.
func (m *Machine[S, C, E]) noteOpened(e E) {
	if m.spec.OpenedBy == nil || m.phase != loading {
		return
	}
	if member, ok := m.spec.OpenedBy(e); ok {
		m.openedBy = member
	}
}
