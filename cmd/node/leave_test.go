package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
)

// hear reads until an answer of a kind comes.
func (c *talk) hear(kind string) map[string]any {
	c.t.Helper()
	for {
		_, b, err := c.conn.Read(c.t.Context())
		if err != nil {
			c.t.Fatalf("%v, want %s", err, kind)
		}
		var m map[string]map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			c.t.Fatalf("%s: %v", b, err)
		}
		if got, ok := m[kind]; ok {
			return got
		}
	}
}

// TestANodeLeaves: asked to end it sends its clients to the other node, spread over a time, says that it is leaving,
// waits for nobody longer than it was told, hands its grains over, and is forgotten at once.
func TestANodeLeaves(t *testing.T) {
	const goodbyeWithin, drainWithin, spread = 3 * time.Second, 5 * time.Second, 4 * time.Second
	m := &many{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	m.place.migrate()
	one := m.start("--goodbye-within", goodbyeWithin.String(), "--drain-within", drainWithin.String(), "--goodbye-delay", spread.String())
	two := m.start()
	m.until("both serve", func() string {
		for _, s := range m.nodes {
			for _, n := range m.status(s).Members {
				if !n.Member || !n.Serves || n.Unready != "" {
					return n.String()
				}
			}
			if n := len(m.status(s).Members); n != 2 {
				return fmt.Sprint(n, " members")
			}
		}
		return ""
	})
	api := manage(t, one, filepath.Join(m.dir, "all"))
	rider := ""
	for i := 0; rider == ""; i++ {
		if who := fmt.Sprint("rider-", i); m.status(one, "--owner", "user/"+who).Owner.Public == one.url {
			rider = who
		}
	}
	must[managev1.RegisterUserResponse](t)(api.users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		UserId: rider, Profile: &userv1.Profile{Handle: rider, Name: "Rider", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}})))

	var clients []*talk
	for range 3 {
		c := talkTo(t, one)
		c.say(`{"hello":{"client":"test"}}`, "welcome")
		clients = append(clients, c)
	}
	talkTo(t, one).say(`{"hello":{"client":"deaf"}}`, "welcome") // does not read, so it does not answer the close
	began, left := time.Now(), make(chan int, 1)
	go func() { left <- one.stop() }()

	delays := map[any]bool{}
	for _, c := range clients {
		g := c.hear("goodbye")
		after, _ := g["reconnect_after_ms"].(float64)
		if g["reason"] != "leaving" || g["address"] != strings.Replace(two.url, "http", "ws", 1)+"/live" || after < 0 || after > float64(spread.Milliseconds()) {
			t.Errorf("goodbye: %v", g)
		}
		delays[after] = true
	}
	if len(delays) != 3 {
		t.Errorf("all come back at once: %v", delays)
	}
	// The deaf one is still waited for: whoever comes now is sent to the same node.
	unready(t, one, "node.leaving")
	isSentTo(t, one, "leaving", strings.Replace(two.url, "http", "ws", 1)+"/live", spread)
	if code := <-left; code != 0 {
		t.Errorf("left with %d: %s", code, one.out)
	}
	if took := time.Since(began); took > goodbyeWithin+drainWithin+5*time.Second {
		t.Errorf("left after %v", took)
	}
	m.until("the one that has left is forgotten", func() string {
		if all := m.status(two).Members; len(all) != 1 || all[0].Public != two.url {
			return fmt.Sprint(all)
		}
		return ""
	})
	there := manage(t, two, filepath.Join(m.dir, "all"))
	u := must[managev1.GetUserResponse](t)(there.users.GetUser(t.Context(), connect.NewRequest(&managev1.GetUserRequest{UserId: rider})))
	if o := m.status(two, "--owner", "user/"+rider).Owner; u.User.GetUserId() != rider || o.Public != two.url || !o.Active {
		t.Errorf("its grain: %v at %v", u, o)
	}
}
