package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTooEarlyIsAnswered: what comes before the workout's start is refused, soon and for now. The client decides when
// it asks again; no layer in between does it for the better part of a minute.
func TestTooEarlyIsAnswered(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	code, token, errs := paceline(t, "token", "athlete:ann", "--data-dir", data)
	if code != 0 {
		t.Fatal(errs)
	}
	c := talkTo(t, s)
	c.say(fmt.Sprintf(`{"hello":{"token":%q}}`, strings.TrimSpace(token)), "welcome")
	result := c.say(`{"command":{"command_id":"c1","workout_id":"w1","lap":{"device_time_ms":"1"}}}`, "command_result")
	refused, _ := result["error"].(map[string]any)
	if refused["code"] != "training.not_started" || refused["retry"] != true {
		t.Errorf("a lap before the start: %v, want training.not_started, to be tried again", result)
	}
	start := fmt.Sprintf(`{"command":{"command_id":"c2","workout_id":"w1","start_workout":{"sport":"run","device_time_ms":"%d"}}}`, time.Now().UnixMilli())
	if result := c.say(start, "command_result"); result["error"] != nil {
		t.Errorf("the start: %v", result)
	}
}
