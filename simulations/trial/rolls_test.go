package trial

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

// previousFor is the build before this one, if the trial needs it. It is built once for a checkout.
func previousFor(t *testing.T, trial Trial) string {
	t.Helper()
	if !trial.Previous {
		return ""
	}
	binary, err := keepPrevious(t.Context(), "../../bin/previous")
	if errors.Is(err, ErrNoPrevious) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestPreviousIsNamed: the file names a commit.
func TestPreviousIsNamed(t *testing.T) {
	if c := named(); len(c) < 7 {
		t.Fatalf("previous names %q", c)
	}
}

// TestPreviousIsTheNewestRelease: the file counts until there is a tag v*, then the newest release before this commit does.
func TestPreviousIsTheNewestRelease(t *testing.T) {
	repository := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=trial", "-c", "user.email=trial@example.org"}, args...)...)
		cmd.Dir = repository
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	commit := func() { t.Helper(); git("commit", "--allow-empty", "--quiet", "--message=one more") }
	git("init", "--quiet")
	for _, k := range []struct {
		name string
		do   func()
		want string
	}{
		{"no tag", commit, named()},
		{"a tag of something else", func() { git("tag", "demo"); commit() }, named()},
		{"the first release, at this commit", func() { git("tag", "v0.9.0") }, named()},
		{"one commit later", commit, "v0.9.0"},
		{"ten is more than nine", func() { git("tag", "--annotate", "--message=ten", "v0.10.0"); commit() }, "v0.10.0"},
		{"a candidate is older than its release", func() {
			git("tag", "v1.0.0-rc1")
			commit()
			git("tag", "v1.0.0")
			commit()
			git("tag", "v0.9.1")
			commit()
		}, "v1.0.0"},
		{"a work tree at an older commit", func() { git("checkout", "--quiet", "v0.10.0") }, "v0.9.0"},
	} {
		k.do()
		got, err := Previous(t.Context(), repository)
		if err != nil || got != k.want {
			t.Errorf("%s: %q, want %q: %v", k.name, got, k.want, err)
		}
	}
	if _, err := Previous(t.Context(), t.TempDir()); err == nil {
		t.Error("no repository, no error")
	}
}
