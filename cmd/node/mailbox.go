package main

import (
	"sync"

	"paceline/actors/machine"
	"paceline/domain/step"
)

// mailbox carries a step object that is no grain. What waits is bounded by what the object itself has under way.
type mailbox struct {
	mu     sync.Mutex
	queue  []any
	wake   chan struct{} // capacity 1
	closed bool
	ended  chan struct{}
	// Owned by the goroutine.
	carrier machine.Carrier
}

// carry starts the goroutine; close ends it.
func carry(rt *machine.Runtime, s machine.Stepper, first any) *mailbox {
	m := &mailbox{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	m.carrier = machine.Carrier{
		Runtime: rt, Stepper: s, Post: m.post,
		Respond: func(step.Return, any, error) {},
		Stop:    func(s step.Stop) { rt.Log.Error("a node's own part has stopped", "why", s.Why) },
	}
	m.post(first)
	go m.run()
	return m
}

func (m *mailbox) post(msg any) {
	m.mu.Lock()
	m.queue = append(m.queue, msg)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) run() {
	defer close(m.ended)
	for range m.wake {
		m.mu.Lock()
		batch, closed := m.queue, m.closed
		m.queue = nil
		m.mu.Unlock()
		if closed {
			m.carrier.Close()
			return
		}
		for _, msg := range batch {
			m.carrier.Handle(msg, nil)
		}
	}
}

// close ends it after the message under way.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	<-m.ended
}
