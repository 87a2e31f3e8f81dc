// Package testkit helps tests to show that they can fail.
//
// It is for tests only and holds nothing of the product.
package testkit

import (
	"fmt"
	"runtime"
	"testing"

	"paceline/domain/step"
)

// Probe runs f as a test of its own and returns how it failed; empty: it passed. A panic is a failure too.
func Probe(t testing.TB, f func(testing.TB)) (failure string) {
	t.Helper()
	p := &probe{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				p.failure = fmt.Sprint("panic: ", r)
			}
		}()
		f(p)
	}()
	<-done
	return p.failure
}

// NeedsRule shows that f passes, and fails once the rule is switched off.
func NeedsRule(t *testing.T, r step.Rule, f func(testing.TB)) {
	t.Helper()
	if failure := Probe(t, f); failure != "" {
		t.Errorf("fails with the rule in force: %s", failure)
		return
	}
	t.Run("off", func(t *testing.T) {
		step.SwitchOff(t, r)
		failure := Probe(t, f)
		if failure == "" {
			t.Errorf("rule %d switched off, and nothing fails", r)
			return
		}
		t.Logf("red without the rule: %s", failure)
	})
}

// probe takes failures instead of the test that it stands in.
type probe struct {
	testing.TB
	failure string
}

func (p *probe) note(s string) {
	if p.failure == "" {
		p.failure = s
	}
}

func (p *probe) Error(args ...any)            { p.note(fmt.Sprint(args...)) }
func (p *probe) Errorf(f string, args ...any) { p.note(fmt.Sprintf(f, args...)) }
func (p *probe) Fail()                        { p.note("failed") }
func (p *probe) FailNow()                     { p.note("failed"); runtime.Goexit() }
func (p *probe) Failed() bool                 { return p.failure != "" }
func (p *probe) Fatal(args ...any)            { p.note(fmt.Sprint(args...)); runtime.Goexit() }
func (p *probe) Fatalf(f string, args ...any) { p.note(fmt.Sprintf(f, args...)); runtime.Goexit() }
func (p *probe) Log(...any)                   {}
func (p *probe) Logf(string, ...any)          {}
