package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"paceline/actors/competition"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster/level"
	"paceline/persistence"
	"paceline/persistence/embedded"
)

var newestLevel = int(level.This.Writes)

// largeField makes a race that is as full as a result of one event may be. What it returns enters one more. The course has as many gates as one may have, so that some forty people are enough.
func largeField(t *testing.T, api managev1.CompetitionServiceClient) (enterMore func() error) {
	t.Helper()
	track := &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "running", DistanceMm: 256_000}
	for i := range 255 {
		track.Gates = append(track.Gates, &competitionv1.Gate{Id: fmt.Sprint("g", i), Kind: competitionv1.GateKind_GATE_KIND_SPLIT, AtMm: int64(i+1) * 1000})
	}
	track.Gates = append(track.Gates, &competitionv1.Gate{Id: "finish", Kind: competitionv1.GateKind_GATE_KIND_FINISH, AtMm: 256_000})
	race := must[managev1.CreateCompetitionResponse](t)(api.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{Name: "Large", Track: track, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN}}))).CompetitionId
	entered := 0
	enter := func() error {
		_, err := api.Command(t.Context(), connect.NewRequest(&managev1.CommandRequest{CompetitionId: race, Command: &competitionv1.Command{
			Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{UserId: fmt.Sprintf("018f0000-0000-7000-8000-%012d", entered+1)}}}}))
		if err == nil {
			entered++
		}
		return err
	}
	for range competition.MaxEntriesInOne(len(track.Gates)) {
		if err := enter(); err != nil {
			t.Fatalf("entry %d: %v", entered+1, err)
		}
	}
	return enter
}

// TestLevelOfAFolder: a folder begins at the newest level or where it is told to, is raised by its node, stays there,
// and one that a release before levels has made is at the first.
func TestLevelOfAFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	noted := func() int {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(data, "paceline.json"))
		var s struct{ Formats map[string]int }
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s.Formats["feature level"]
	}
	ask := func(s serving, args ...string) string {
		t.Helper()
		code, out, errs := paceline(t, append(append([]string{"cluster"}, args...), "--data-dir", data, "--listen", strings.TrimPrefix(s.url, "http://"))...)
		if code != 0 {
			return errs
		}
		return out
	}
	s := serve(t, "--data-dir", data, "--first-level", "1")
	if out := ask(s, "status"); !strings.Contains(out, "feature level 1,") || !strings.Contains(out, fmt.Sprintf("every member can read feature level %d: paceline cluster raise", newestLevel)) {
		t.Errorf("at the start: %s", out)
	}
	if n := noted(); n != 0 {
		t.Errorf("level %d is noted before it was raised: a release before levels would refuse the folder", n)
	}
	if out := ask(s, "raise", "--to", fmt.Sprint(newestLevel+1)); !strings.Contains(out, fmt.Sprintf("This release cannot write that feature level. (%d was asked for, it writes up to %d)", newestLevel+1, newestLevel)) {
		t.Errorf("to what nobody writes: %s", out)
	}
	enterMore := largeField(t, manage(t, s, data).competitions)
	wantCode(t, "one entry more than an older release can read the result of", enterMore(), "competition.full")
	if out := ask(s, "raise"); out != fmt.Sprintf("raised from feature level 1 to %d\nall members follow\n", newestLevel) {
		t.Errorf("raise: %q", out)
	}
	wantCode(t, "one entry more after the raise", enterMore(), "")
	if out := ask(s, "raise"); out != fmt.Sprintf("the feature level is %d already\n", newestLevel) {
		t.Errorf("raise again: %q", out)
	}
	if out := ask(s, "raise", "--to", "1"); !strings.Contains(out, "A feature level is never lowered.") {
		t.Errorf("lower: %q", out)
	}
	if n := noted(); n != newestLevel {
		t.Errorf("the folder says level %d, want %d", n, newestLevel)
	}
	if code := s.stop(); code != 0 {
		t.Fatal(s.out)
	}
	s = serve(t, "--data-dir", data, "--first-level", "1", "--drop-snapshots")
	if out := ask(s, "status"); !strings.Contains(out, fmt.Sprintf("feature level %d,", newestLevel)) || noted() != newestLevel {
		t.Errorf("after a restart: %s, noted %d", out, noted())
	}
	s.stop()

	// The row alone, as a raise leaves it that was killed in the middle the other way round: noted again at the start.
	if err := os.WriteFile(filepath.Join(data, "paceline.json"), []byte(`{"format":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, "--data-dir", data).stop()
	if noted() != newestLevel {
		t.Error("the level's row is not noted in the folder")
	}
	inFolder(t, data, func(rows persistence.Rows) {
		if _, err := level.In(rows).Raise(t.Context(), level.This.Reads, 9); err != nil {
			t.Fatal(err)
		}
	})
	code, _, errs := paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data)
	sentence(t, code, errs, fmt.Sprintf("this release is too old for the cluster: it is at feature level 9, and this release reads up to %d", newestLevel))
	for _, wrong := range []string{"9", "-1"} {
		code, _, errs = paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data, "--first-level="+wrong)
		sentence(t, code, errs, fmt.Sprintf("this release begins at 1 to %d", newestLevel))
	}
}

// TestLevelOfAnOlderFolder: data without a level was written by a release before levels.
func TestLevelOfAnOlderFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	serve(t, "--data-dir", data).stop()
	inFolder(t, data, func(rows persistence.Rows) {
		p := persistence.Part{Table: persistence.TableControl, Key: (&persistence.Key{}).Str("meta").Str("feature level").String()}
		if ok, _, err := rows.PutIf(t.Context(), p, uint64(newestLevel), persistence.Head{}, nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
	})
	s := serve(t, "--data-dir", data)
	if code, out, errs := paceline(t, "cluster", "status", "--data-dir", data, "--listen", strings.TrimPrefix(s.url, "http://")); code != 0 || !strings.Contains(out, "feature level 1,") {
		t.Errorf("%s%s", out, errs)
	}
}

// TestARaiseElsewhereEndsWhoCannotReadIt: the level rises while a node serves that cannot read it.
func TestARaiseElsewhereEndsWhoCannotReadIt(t *testing.T) {
	n := &node{failed: make(chan error, 1), log: discarded()}
	if !n.risen(2) || n.level.At() != 2 || !n.risen(1) || n.level.At() != 2 {
		t.Fatalf("at %d after 2 and 1", n.level.At())
	}
	if n.risen(level.This.Reads+1) || n.level.At() != 2 {
		t.Error("a level that cannot be read is followed")
	}
	select {
	case err := <-n.failed:
		if !strings.Contains(err.Error(), "too old for the cluster") {
			t.Error(err)
		}
	case <-time.After(time.Second):
		t.Error("the node goes on")
	}
}

func inFolder(t *testing.T, data string, do func(persistence.Rows)) {
	t.Helper()
	cfg := embedded.Default()
	cfg.Folder = data
	rows, err := embedded.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(rows)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
}
