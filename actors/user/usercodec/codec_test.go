package usercodec

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paceline/actors/user"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew; never for a format that was released")

var examples = []user.Event{
	user.Registered{Profile: user.Profile{Handle: "ada.l", Name: "Ada L", Club: "RC", Flag: "GB", Visibility: user.Entrants, Minor: true}},
	user.ProfileChanged{Profile: user.Profile{Handle: "ada", Name: "Ada", Visibility: user.Private}},
	user.Fenced{},
	user.Reacted{Competition: "race", Entry: 17, Reaction: "bell", From: "athlete:bob", At: 1_718_462_000_000},
}

func TestGolden(t *testing.T) {
	var got strings.Builder
	for _, e := range examples {
		kind, format, payload, err := Encode(e)
		if err != nil {
			t.Fatalf("Encode(%T): %v", e, err)
		}
		fmt.Fprintf(&got, "%d %d %s\n", kind, format, hex.EncodeToString(payload))
	}
	file := filepath.Join("testdata", "events-1.txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got.String() != string(want) {
		t.Fatalf("stored bytes have changed:\n%s\nwant\n%s%v", got.String(), want, err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		var kind, format uint32
		var text string
		fmt.Sscanf(line, "%d %d %s", &kind, &format, &text)
		payload, _ := hex.DecodeString(text)
		if e, err := Decode(kind, format, payload); err != nil || e != examples[i] {
			t.Errorf("Decode(%s) = %+v, %v, want %+v", line, e, err, examples[i])
		}
	}
}

func TestUnknownRefused(t *testing.T) {
	tests := []struct {
		kind, format uint32
		payload      string
		want         error
	}{
		{9, Format, "", ErrUnknown}, {KindRegistered, 2, "", ErrUnknown}, {KindRegistered, Format, "\xff", ErrCorrupt},
		{KindProfileChanged, Format, "\x0a\x05", ErrCorrupt}, {KindFenced, Format, "x", ErrCorrupt},
	}
	for _, tt := range tests {
		if _, err := Decode(tt.kind, tt.format, []byte(tt.payload)); !errors.Is(err, tt.want) {
			t.Errorf("Decode(%d, %d, %q) = %v, want %v", tt.kind, tt.format, tt.payload, err, tt.want)
		}
	}
}
