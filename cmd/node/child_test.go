package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"paceline/domain/step"
	"paceline/domain/unit"
)

// asProgram makes this test binary the program itself: a process of its own, with its own exit code.
const asProgram = "PACELINE_TEST_AS_PROGRAM"

// clockAhead sets the wall clock of such a process: a duration, before or behind the machine's.
const clockAhead = "PACELINE_TEST_CLOCK_AHEAD"

// rulesOff switches rules off in such a process, by their numbers, so that a trial of real nodes can show what it finds.
const rulesOff = "PACELINE_TEST_RULES_OFF"

// forGood is what switches a rule off for a process.
type forGood struct{}

func (forGood) Helper()        {}
func (forGood) Cleanup(func()) {}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if ahead, err := time.ParseDuration(os.Getenv(clockAhead)); err == nil {
			read := machineClock.read
			machineClock.read = func() (unit.InstantMs, time.Duration) {
				wall, passed := read()
				return wall.Add(unit.DurationMs(ahead.Milliseconds())), passed
			}
		}
		for _, number := range strings.FieldsFunc(os.Getenv(rulesOff), func(r rune) bool { return r == ',' }) {
			n, err := strconv.ParseUint(number, 10, 8)
			if err != nil || step.Rule(n) >= step.Rules {
				panic(rulesOff + "=" + number)
			}
			step.SwitchOff(forGood{}, step.Rule(n))
		}
		main() // does not come back
	}
	os.Exit(m.Run())
}

// child runs one command line in a process of its own.
func child(t *testing.T, args ...string) (code int, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1")
	var b bytes.Buffer
	c.Stderr = &b
	err := c.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v did not end: %s", args, b.String())
	}
	if err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), b.String()
}
