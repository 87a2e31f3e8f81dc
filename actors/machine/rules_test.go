package machine

import (
	"testing"

	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// TestEachRuleIsNeeded switches each of the machine's rules off and sees a test go red.
func TestEachRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		rule step.Rule
		f    func(testing.TB)
	}{
		"reply after commit":        {step.RuleReplyAfterCommit, answersWait},
		"fence":                     {step.RuleFence, loserStops},
		"unknown looks at the head": {step.RuleUnknownLooks, unknownLookedUp},
		"append id":                 {step.RuleAppendID, lateAppendRecognised},
		"command once":              {step.RuleCommandOnce, firstAnswer},
		"wake-up first":             {step.RuleWakeupFirst, rowBeforeAppend},
		"foreign row fenced":        {step.RuleForeignRowFenced, foreignRow},
		"own row kept":              {step.RuleOwnRowKept, ownRowKept},
		"open wakes":                {step.RuleOpenWakes, openRow},
		"refusal looks":             {step.RuleRefusalLooks, overtakenDoesNotRefuse},
		"cursor after sync":         {step.RuleCursorAfterSync, cursorAfterSync},
	} {
		t.Run(name, func(t *testing.T) { testkit.NeedsRule(t, c.rule, c.f) })
	}
}

func TestCursorMovesOnlyWhenSynced(t *testing.T) { cursorAfterSync(t) }

func cursorAfterSync(t testing.TB) {
	b := newBench(t)
	b.holdPub = true
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.settle()
	if c, err := b.store.Cursor(t.Context(), b.grain, outboxConsumer); err != nil || c != 0 {
		t.Fatalf("cursor = %d %v while nothing has synced", c, err)
	}
	b.holdPub = false
	dead := b.live(counterSpec())
	dead.settle()
	c, _ := b.store.Cursor(t.Context(), b.grain, outboxConsumer)
	if c != 1 || b.synced != 1 {
		t.Fatalf("cursor = %d, synced %d; want 1 and 1", c, b.synced)
	}
}

var _ persistence.EventStream = (*bench)(nil)
