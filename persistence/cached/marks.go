package cached

import "sync"

// mark is how new what is read of one thing must be; both only rise.
type mark struct {
	version uint64 // of a grain's journal, as far as it is known here
	times   uint64 // that it has changed, or may have
}

// marks holds a mark for each thing that entries depend on.
type marks struct {
	mu    sync.RWMutex
	of    map[string]mark
	epoch uint64 // rises when all entries become void
	most  int    // things that are remembered
}

// seen is the marks of an entry's dependencies.
type seen struct {
	epoch uint64
	of    [2]mark
}

// now is the present marks of an entry's dependencies.
func (m *marks) now(deps [2]string) seen {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return seen{m.epoch, [2]mark{m.of[deps[0]], m.of[deps[1]]}}
}

// covers reports whether what was read at s is new enough for somebody who needs need.
func (s seen) covers(need seen) bool {
	return s.epoch == need.epoch && s.of[0].times >= need.of[0].times && s.of[1].times >= need.of[1].times
}

// known is the version of a thing that readers must see at least.
func (m *marks) known(dep string) uint64 { return m.now([2]string{dep}).of[0].version }

// changed makes everything old that depends on a thing.
func (m *marks) changed(dep string, version uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change(dep, version)
}

// raise brings a thing to a version, and reports whether it was lower; what depends on it is then old.
func (m *marks) raise(dep string, version uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of[dep].version >= version {
		return false
	}
	m.change(dep, version)
	return true
}

func (m *marks) change(dep string, version uint64) {
	if len(m.of) >= m.most {
		m.forget() // and with the marks every entry that was judged by them
	}
	k := m.of[dep]
	m.of[dep] = mark{max(k.version, version), k.times + 1}
}

// void makes everything old.
func (m *marks) void() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget()
}

func (m *marks) forget() {
	m.epoch++
	clear(m.of)
}
