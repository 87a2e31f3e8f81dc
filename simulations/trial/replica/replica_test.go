package replica

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"paceline/domain/step"
	"paceline/internal/testkit"
)

// process is what switches a rule off for a process that ends by being killed.
type process struct{}

func (process) Helper()        {}
func (process) Cleanup(func()) {}

func TestMain(m *testing.M) {
	if words := os.Getenv(NodeVariable); words != "" { // this process is the one that is killed
		fmt.Fprintln(os.Stderr, RunNode(words, os.Stdin, os.Stdout, func(r step.Rule) { step.SwitchOff(process{}, r) }))
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func trial(t *testing.T, replicas int, rounds []Kill, how func(*Trial)) *Report {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.CreateTemp(t.TempDir(), "node-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	tr := Trial{Ring: testkit.StartRing(t, replicas), Rounds: rounds, Binary: self, Log: log, Say: t.Logf}
	if how != nil {
		how(&tr)
	}
	report, err := Run(t.Context(), tr)
	if report != nil {
		t.Logf("%s", report)
	}
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Fatalf("%v\nthe node said: %s", err, said[max(0, len(said)-4000):])
	}
	return report
}

func hold(t *testing.T, r *Report) {
	t.Helper()
	for _, w := range r.Wrong() {
		t.Error(w)
	}
	if r.Lost() > 0 || r.Twice() > 0 {
		t.Errorf("%d lost, %d twice", r.Lost(), r.Twice())
	}
}

// TestOneReplica: the store itself is killed in the middle of writes, alone and together with the node.
func TestOneReplica(t *testing.T) {
	hold(t, trial(t, 1, []Kill{Replica, Both}, nil))
}

// roundsVariable asks for the long trial; make test-all sets it.
const roundsVariable = "PACELINE_REPLICA_ROUNDS"

// TestThreeReplicas: one of three is killed, round after round, and the node with it.
func TestThreeReplicas(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(roundsVariable))
	if err != nil {
		t.Skip("ten minutes: runs in make test-all, or with " + roundsVariable + "=20")
	}
	r := trial(t, 3, Rounds(rounds), nil)
	hold(t, r)
	fmt.Print(r)
}

// TestTheTrialCanFail breaks a rule in the node, and the trial finds what comes of it.
func TestTheTrialCanFail(t *testing.T) {
	if os.Getenv(roundsVariable) == "" {
		t.Skip("several minutes: runs in make test-all, or with " + roundsVariable + "=20")
	}
	for name, tc := range map[string]struct {
		kill  Kill // Replica: whoever waits for an outcome must live to take it for written
		how   func(*Trial)
		found func(*Report) bool
	}{
		"acknowledged before it is written": {Both, func(tr *Trial) { tr.Early = true }, func(r *Report) bool { return r.Lost() > 0 }},
		"no outcome is taken for written": {Replica, func(tr *Trial) { tr.Off = []step.Rule{step.RuleUnknownLooks} },
			func(r *Report) bool { return r.Lost() > 0 }},
		"a command that comes again is done again": {Both, func(tr *Trial) { tr.Off = []step.Rule{step.RuleCommandOnce} },
			func(r *Report) bool { return r.Twice() > 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			if r := trial(t, 1, []Kill{tc.kill, tc.kill, tc.kill, tc.kill}, tc.how); !tc.found(r) {
				t.Error("the trial has found nothing")
			}
		})
	}
}
