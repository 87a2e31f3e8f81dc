package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paceline/cluster/level"
	"paceline/persistence"
	"paceline/persistence/embedded"
)

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
	if out := ask(s, "status"); !strings.Contains(out, "feature level 1,") || !strings.Contains(out, "every member can read feature level 2: paceline cluster raise") {
		t.Errorf("at the start: %s", out)
	}
	if n := noted(); n != 0 {
		t.Errorf("level %d is noted before it was raised: a release before levels would refuse the folder", n)
	}
	if out := ask(s, "raise", "--to", "3"); !strings.Contains(out, "This release cannot write that feature level. (3 was asked for, it writes up to 2)") {
		t.Errorf("to what nobody writes: %s", out)
	}
	if out := ask(s, "raise"); out != "raised from feature level 1 to 2\nall members follow\n" {
		t.Errorf("raise: %q", out)
	}
	if out := ask(s, "raise"); out != "the feature level is 2 already\n" {
		t.Errorf("raise again: %q", out)
	}
	if out := ask(s, "raise", "--to", "1"); !strings.Contains(out, "A feature level is never lowered.") {
		t.Errorf("lower: %q", out)
	}
	if n := noted(); n != 2 {
		t.Errorf("the folder says level %d, want 2", n)
	}
	if code := s.stop(); code != 0 {
		t.Fatal(s.out)
	}
	s = serve(t, "--data-dir", data, "--first-level", "1", "--drop-snapshots")
	if out := ask(s, "status"); !strings.Contains(out, "feature level 2,") || noted() != 2 {
		t.Errorf("after a restart: %s, noted %d", out, noted())
	}
	s.stop()

	// The row alone, as a raise leaves it that was killed in the middle the other way round: noted again at the start.
	if err := os.WriteFile(filepath.Join(data, "paceline.json"), []byte(`{"format":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, "--data-dir", data).stop()
	if noted() != 2 {
		t.Error("the level's row is not noted in the folder")
	}
	inFolder(t, data, func(rows persistence.Rows) {
		if _, err := level.In(rows).Raise(t.Context(), 2, 9); err != nil {
			t.Fatal(err)
		}
	})
	code, _, errs := paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data)
	sentence(t, code, errs, "this release is too old for the cluster: it is at feature level 9, and this release reads up to 2")
	for _, wrong := range []string{"9", "-1"} {
		code, _, errs = paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data, "--first-level="+wrong)
		sentence(t, code, errs, "this release begins at 1 to 2")
	}
}

// TestLevelOfAnOlderFolder: data without a level was written by a release before levels.
func TestLevelOfAnOlderFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	serve(t, "--data-dir", data).stop()
	inFolder(t, data, func(rows persistence.Rows) {
		p := persistence.Part{Table: persistence.TableControl, Key: (&persistence.Key{}).Str("meta").Str("feature level").String()}
		if ok, _, err := rows.PutIf(t.Context(), p, 2, persistence.Head{}, nil); err != nil || !ok {
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
	rows, err := embedded.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	do(rows)
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
}
