package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"

	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
)

// talk is a client that says JSON by hand, as anybody may.
type talk struct {
	t    *testing.T
	conn *websocket.Conn
}

func talkTo(t *testing.T, s serving) *talk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+"/live", &websocket.DialOptions{Subprotocols: []string{"paceline.v1.json"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &talk{t, conn}
}

// say sends a text and returns the first answer of a kind; "closed" is the close code.
func (c *talk) say(text, kind string) map[string]any {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	for {
		_, b, err := c.conn.Read(ctx)
		if err != nil {
			if code := websocket.CloseStatus(err); kind == "closed" && code > 0 {
				return map[string]any{"code": fmt.Sprint(int(code))}
			}
			c.t.Fatalf("after %.200s: %v, want %s", text, err, kind)
		}
		var m map[string]map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Fatalf("%s: %v", b, err)
		}
		if got, ok := m[kind]; ok {
			return got
		}
		if e, ok := m["error"]; ok && kind != "closed" {
			c.t.Fatalf("after %.200s: %v, want %s", text, e, kind)
		}
	}
}

// TestBadInput: what nobody should send, sent to a node over a socket. Each is answered with its code, nothing of it
// is obeyed, and at the end the athlete's good samples are there and nothing else.
func TestBadInput(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	api := manage(t, s, data)
	register := func(handle string) (user, device string) {
		u := must[managev1.RegisterUserResponse](t)(api.users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			Profile: &userv1.Profile{Handle: handle, Name: handle, Visibility: userv1.Visibility_VISIBILITY_PRIVATE}}))).UserId
		return u, must[managev1.RegisterDeviceResponse](t)(api.devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
			Device: &devicev1.Registered{Owner: u, Name: "watch"}}))).DeviceId
	}
	ann, watch := register("ann")
	bob, bobs := register("bob")
	hello := func(subject string) string {
		code, token, errs := paceline(t, "token", subject, "--data-dir", data)
		if code != 0 {
			t.Fatal(errs)
		}
		return fmt.Sprintf(`{"hello":{"token":%q}}`, strings.TrimSpace(token))
	}
	now := time.Now().UnixMilli()
	open := func(device, stream string, more string) string {
		return fmt.Sprintf(`{"open_stream":{"device_id":%q,"stream_id":%q,"workout_id":"w1","clock":"CLOCK_KIND_GNSS","device_time_ms":"%d",
			"channels":[{"channel":"CHANNEL_HEART_RATE_BPM","trust":"TRUST_MEASURED"}]%s}}`, device, stream, now, more)
	}
	// frame has one sample a second, with these heart rates.
	frame := func(first int, values string) string {
		n := strings.Count(values, ",") + 1
		return fmt.Sprintf(`{"telemetry":{"stream_id":"s1","first_seq":"%d","base_time_ms":"%d","at_delta_ms":[%s],"columns":[{"channel":"CHANNEL_HEART_RATE_BPM","values":[%s]}]}}`,
			first, now+int64(first-1)*1000, strings.TrimSuffix("0,"+strings.Repeat("1000,", n-1), ","), values)
	}
	start := fmt.Sprintf(`{"command":{"command_id":"c1","workout_id":"w1","start_workout":{"sport":"run","zone":"Etc/UTC","device_time_ms":"%d"}}}`, now)

	c := talkTo(t, s)
	c.say(hello("athlete:"+ann), "welcome")
	c.say(start, "command_result")
	c.say(open(watch, "s1", ""), "stream_opened")
	// A bad sample does not take the good ones of its batch with it: 300 is refused and named, the others count.
	ack := c.say(frame(1, "150,300,151"), "ack")
	if refused := fmt.Sprint(ack["refused"]); ack["through_seq"] != "3" || !strings.Contains(refused, "seq:2") || !strings.Contains(refused, "out_of_range") {
		t.Errorf("ack = %v, want through 3 with seq 2 out of range", ack)
	}
	for _, tt := range []struct{ name, text, code string }{
		{"not a number", frame(4, "NaN"), "wire.malformed"},
		{"an infinite one", frame(4, `"Infinity"`), "wire.malformed"},
		{"a gap", frame(9, "150"), "stream.gap"},
		{"other values for the same seqs", frame(1, "160"), "stream.conflict"},
		{"an unknown channel", strings.Replace(frame(4, "150"), "CHANNEL_HEART_RATE_BPM", "CHANNEL_AURA", 1), "telemetry.channel"},
		{"fewer values than samples", strings.Replace(frame(4, "150,151"), `[150,151]`, `[150]`, 1), "telemetry.column"},
		{"an unknown message", `{"teleport":{"to":"finish"}}`, "wire.unknown_message"},
		{"an unknown topic", `{"subscribe":{"topic":"competition/x/secrets"}}`, "topic.unknown"},
		{"a topic of no race", `{"subscribe":{"topic":"competition/nosuch/board"}}`, "competition.not_found"},
		{"a clock of last year", strings.Replace(open(watch, "s2", ""), fmt.Sprint(now), fmt.Sprint(now-366*86_400_000), 1), "clock.implausible"},
		{"streaming for somebody else", open(watch, "s2", fmt.Sprintf(`,"person_id":%q`, bob)), "auth.denied"},
		{"streaming on somebody else's device", open(bobs, "s2", ""), "auth.denied"},
		{"a stream that is not open", strings.Replace(frame(1, "150"), `"s1"`, `"s9"`, 1), "stream.not_open"},
	} {
		if e := c.say(tt.text, "error"); e["code"] != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, e, tt.code)
		}
	}
	// Overlaps, and times in reverse, twice and years off: handled, marked, and the rest goes on.
	if ack := c.say(frame(2, "300,151,152"), "ack"); ack["through_seq"] != "4" {
		t.Errorf("an overlap: %v, want through 4", ack)
	}
	bad := strings.Replace(frame(5, "150,150,150"), `[0,1000,1000]`, `[0,0,-5000]`, 1)
	if ack := c.say(bad, "ack"); strings.Count(fmt.Sprint(ack["refused"]), "time_not_rising") != 2 {
		t.Errorf("times that do not rise: %v", ack)
	}
	years := strings.Replace(frame(8, "150"), fmt.Sprint(now+7000), fmt.Sprint(now+3*366*86_400_000), 1)
	if ack := c.say(years, "ack"); !strings.Contains(fmt.Sprint(ack["refused"]), "outside_window") {
		t.Errorf("a time years off: %v", ack)
	}

	// The same stream on a second connection: the first one is told to go.
	second := talkTo(t, s)
	second.say(hello("athlete:"+ann), "welcome")
	if o := second.say(open(watch, "s1", ""), "stream_opened"); o["through_seq"] != "8" {
		t.Errorf("the second connection goes on behind %v, want 8", o["through_seq"])
	}
	if code := c.say(frame(9, "150"), "closed")["code"]; code != "4503" {
		t.Errorf("the first connection is closed with %v, want 4503", code)
	}
	for name, tt := range map[string]struct{ text, code string }{
		"a forged token": {`{"hello":{"token":"eyJhbGciOiJub25lIn0.eyJzdWIiOiJvcGVyYXRvcjp4In0."}}`, "4502"},
		"no hello":       {frame(9, "150"), "4504"},
		"too large":      {`{"hello":{"client":"` + strings.Repeat("x", 70_000) + `"}}`, "4501"},
	} {
		if code := talkTo(t, s).say(tt.text, "closed")["code"]; code != tt.code {
			t.Errorf("%s: closed with %v, want %s", name, code, tt.code)
		}
	}
	if ack := second.say(frame(9, "150"), "ack"); ack["through_seq"] != "9" {
		t.Errorf("after all that: %v, want through 9", ack)
	}
}
