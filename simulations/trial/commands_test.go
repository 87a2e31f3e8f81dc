package trial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/simulations/swarm"
)

// written is a journal of one row for each word: "c1" is an event of that command, "c1:7" one of kind 7, "-" one that no
// command caused.
func written(words ...string) (journal []persistence.Record) {
	for i, word := range words {
		rec := persistence.Record{Version: uint64(i) + 1, Kind: 1}
		command, kind, _ := strings.Cut(word, ":")
		_, _ = fmt.Sscan(kind, &rec.Kind)
		if command != "-" {
			rec.Meta.CommandID = command
		}
		journal = append(journal, rec)
	}
	return journal
}

// A journal that holds what clients were told passes, and each damage that a missing fence does to one is found.
func TestCheckCommands(t *testing.T) {
	race := id.Of(id.Competition, "race")
	told := func(client, command string, version uint64) swarm.Answer {
		return swarm.Answer{Client: client, Stream: race.String(), Command: command, Version: version}
	}
	answers := []swarm.Answer{told("ann", "a1", 1), told("ben", "b1", 4), told("ann", "a2", 5), told("ann", "a3", 7), told("", "x2", 9), told("", "x1", 8)}
	whole := []string{"a1", "-", "b1:1", "b1:2", "a2", "-", "a3", "x1", "x2", "nobody:1", "nobody:1"}
	with := func(version int, word string) []string {
		journal := slices.Clone(whole)
		journal[version-1] = word
		return journal
	}
	for _, k := range []struct {
		name    string
		journal []persistence.Record
		answers []swarm.Answer
		want    string // part of what is found; empty: nothing is
	}{
		{"whole", written(whole...), answers, ""},
		{"nobody was told of anything", written(whole...), nil, ""},
		{"a loser's event is written over what was answered", written(with(5, "loser")...), answers, `a2 was answered with version 5 and is nowhere; there is an event of kind 1 of command "loser"`},
		{"an own event is written over what was answered", written(with(5, "-")...), answers, "a2 was answered with version 5 and is nowhere"},
		{"answered beyond the journal's end", written(whole[:6]...), answers, "a3 was answered with version 7 and is nowhere; there is no row"},
		{"answered with the version of another", written("a1", "-", "b1:1", "b1:2", "-", "a2", "a3", "x1", "x2"), answers, "a2 was answered with version 5 and is at 6"},
		{"half of what one command said is written over", written(with(4, "-")...), answers, "b1 was answered with version 4 and is at 3"},
		{"a command is written again", written(append(slices.Clone(whole), "a2")...), answers, "a2 is there twice, at 5 and at 12"},
		{"one that nobody was told of, too", written(append(slices.Clone(whole), "-", "nobody:1")...), answers, "nobody is there twice, at 11 and at 13"},
		{"a command is written again at once", written("a1", "-", "b1:1", "b1:2", "b1:2", "a2"), nil, ""},
		{"a command that was answered is written again at once", written("a1", "a1"), answers[:1], "a1 is there twice, at 1 and at 2"},
		{"what one client gave in order is there in another", written("a2", "a1"), []swarm.Answer{told("ann", "a1", 2), told("ann", "a2", 1)}, "a2 of ann is at 1, the one before it, a1, at 2"},
		{"a row is missing", append(written("a1"), written("a1", "-", "b1")[2:]...), nil, "version 3 is the journal's row 2"},
	} {
		err := checkCommands(race, k.journal, k.answers)
		if (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, want %q", k.name, err, k.want)
		}
	}
}

// A lap that was marked by somebody who did not know of the one before it is found.
func TestCheckLaps(t *testing.T) {
	workout := id.Scoped(id.Training, "ann", "w1")
	for _, k := range []struct {
		laps []uint32
		want string
	}{
		{nil, ""},
		{[]uint32{1, 2, 3}, ""},
		{[]uint32{1, 2, 2}, "lap 2 at version 3 follows lap 2"},
		{[]uint32{1, 3}, "lap 3 at version 2 follows lap 1"},
	} {
		var journal []persistence.Record
		for i, lap := range k.laps {
			kind, format, payload, err := trainingcodec.Encode(training.LapMarked{Lap: lap})
			if err != nil {
				t.Fatal(err)
			}
			journal = append(journal, persistence.Record{Version: uint64(i) + 1, Kind: kind, Format: format, Payload: payload})
		}
		if err := checkLaps(workout, journal); (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) {
			t.Errorf("laps %v: %v, want %q", k.laps, err, k.want)
		}
	}
}

// The environment of a test's binary that is the program, see cmd/node.
const (
	asProgram = "PACELINE_TEST_AS_PROGRAM=1"
	rulesOff  = "PACELINE_TEST_RULES_OFF="
)

// TestTheTrialCanFail: nodes whose losers are not fenced answer for what somebody else has written, and the trial finds it.
func TestTheTrialCanFail(t *testing.T) {
	if os.Getenv("PACELINE_TRIALS") == "" {
		t.Skip("takes two minutes: make trials")
	}
	testkit.CQLHosts(t)
	binary := filepath.Join(t.TempDir(), "node.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, "paceline/cmd/node").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	o, err := try(t, Splits[0], Everyday, binary, asProgram, rulesOff+fmt.Sprint(uint8(step.RuleFence)))
	found := fmt.Sprint(o, err)
	t.Log(found)
	if !strings.Contains(found, "was answered with version") {
		t.Error("the trial has not found that a node answers for what it has not written")
	}
}
