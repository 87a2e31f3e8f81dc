package trial

import (
	"errors"
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
	if c := Previous(); len(c) < 7 {
		t.Fatalf("previous names %q", c)
	}
}
