package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/cluster/level"
	"paceline/domain/id"
	"paceline/persistence/cql"
)

// many is nodes of one cluster in this process, on a keyspace of their own.
type many struct {
	t     *testing.T
	place *cqlPlace
	dir   string
	nodes []serving
}

func (m *many) args(n int) []string {
	return []string{"--keys-dir", filepath.Join(m.dir, "all.keys"), "--gossip-listen", "127.0.0.1:0", "--data-dir", filepath.Join(m.dir, fmt.Sprint("data-", n))}
}

func (m *many) start(args ...string) serving {
	m.t.Helper()
	n := len(m.nodes) + 1
	s := serve(m.t, append(append(append([]string{"--store", "cql"}, m.place.flags...), m.args(n)...), args...)...)
	m.nodes = append(m.nodes, s)
	return s
}

// ask runs a cluster command at a node.
func (m *many) ask(s serving, args ...string) (out, errs string) {
	m.t.Helper()
	_, out, errs = pacelineWithin(m.t, 30*time.Second, append(append([]string{"cluster"}, args...), "--keys-dir", filepath.Join(m.dir, "all.keys"), "--listen", strings.TrimPrefix(s.url, "http://"))...)
	return out, errs
}

func (m *many) status(s serving, args ...string) *managev1.GetClusterStatusResponse {
	m.t.Helper()
	out, errs := m.ask(s, append([]string{"status", "--json"}, args...)...)
	r := &managev1.GetClusterStatusResponse{}
	if err := protojson.Unmarshal([]byte(out), r); err != nil {
		m.t.Fatalf("%v: %s%s", err, out, errs)
	}
	return r
}

func (m *many) until(what string, holds func() string) {
	m.t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		why := holds()
		if why == "" {
			return
		}
		select {
		case <-deadline:
			m.t.Fatalf("%s: %s", what, why)
		case <-tick.C:
		}
	}
}

// TestClusterStatusAndRaise: two nodes on a keyspace that begins at the first level; what one is asked says what both do,
// as far as the level lets it; raised, all of it; whoever cannot read the level does not start.
func TestClusterStatusAndRaise(t *testing.T) {
	m := &many{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	m.place.migrate()
	one := m.start("--first-level", "1")
	two := m.start()
	both := func(s serving) string {
		r := m.status(s)
		for _, n := range r.Members {
			if !n.Seen || !n.Member || !n.Serves || n.Unready != "" || n.Follows != r.Level || n.RowAgeMs < 0 {
				return n.String()
			}
		}
		if len(r.Members) != 2 {
			return fmt.Sprint(len(r.Members), " members")
		}
		return ""
	}
	m.until("both serve", func() string { return both(one) + both(two) })

	before := m.status(one)
	for _, n := range before.Members {
		if self := n.Id == before.Asked; self != (n.Says != nil) || n.Reads != level.This.Reads {
			t.Errorf("at level 1 %s says %v (%s)", n.Public, n.Says, n.Silent)
		}
	}
	if out, _ := m.ask(one, "status"); !strings.Contains(out, "feature level 1,") || !strings.Contains(out, "what the other nodes do is asked from feature level 2 on") {
		t.Errorf("at level 1: %s", out)
	}
	if out, errs := m.ask(two, "raise"); out != fmt.Sprintf("raised from feature level 1 to %d\nall members follow\n", newestLevel) {
		t.Fatalf("raise: %s%s", out, errs)
	}
	m.until("all is said", func() string {
		r := m.status(one)
		shards := uint32(0)
		for _, n := range r.Members {
			if n.Says == nil || n.Says.Member != n.Id || n.Says.Members != 2 || !n.Says.Swept || n.Says.Follows != level.This.Writes {
				return n.String()
			}
			shards += n.Says.Shards
		}
		if r.Level != level.This.Writes || shards != 256 {
			return fmt.Sprintf("level %d, %d shards", r.Level, shards)
		}
		return ""
	})
	m.owners(one, two)

	// A level that only a newer release can read: nobody older comes in, in one sentence, and those that serve end.
	driver := cql.Default()
	driver.Hosts, driver.Keyspace = strings.Split(m.place.flags[1], ","), m.place.keyspace
	rows, err := cql.Open(t.Context(), driver)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := level.In(rows).Raise(t.Context(), level.This.Reads, 9); err != nil || at != 9 {
		t.Fatal(at, err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	code, _, errs := pacelineWithin(t, 30*time.Second, append(append([]string{"run", "--listen", "127.0.0.1:0", "--store", "cql"}, m.place.flags...), m.args(3)...)...)
	lines := strings.Split(strings.TrimSpace(errs), "\n") // before it the log warns that there is one copy only
	sentence(t, code, lines[len(lines)-1], fmt.Sprintf("this release is too old for the cluster: it is at feature level 9, and this release reads up to %d", newestLevel))
	for _, s := range m.nodes {
		m.until("a node that cannot read the level ends", func() string {
			if out := s.out.String(); !strings.Contains(out, "this release is too old for the cluster") {
				return out[max(0, len(out)-300):]
			}
			return ""
		})
	}
}

// owners asks for grains until each node has owned one: it lives where both say, and is active once somebody asked for it.
func (m *many) owners(one, two serving) {
	m.t.Helper()
	api := manage(m.t, one, filepath.Join(m.dir, "all"))
	owned := map[string]bool{}
	for i := 0; len(owned) < 2; i++ {
		if i == 50 {
			m.t.Fatalf("of 50 users all live on %v", owned)
		}
		who := fmt.Sprint("rider-", i)
		a, b := m.status(one, "--owner", "user/"+who).Owner, m.status(two, "--owner", "user/"+who).Owner
		if a.Public != b.Public || a.Public == "" || !a.Known || a.Active || a.Grain != id.Of(id.User, who).String() {
			m.t.Fatalf("one says %v, two says %v", a, b)
		}
		if owned[a.Public] {
			continue
		}
		owned[a.Public] = true
		must[managev1.RegisterUserResponse](m.t)(api.users.RegisterUser(m.t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			UserId: who, Profile: &userv1.Profile{Handle: who, Name: "Rider", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}})))
		if c := m.status(two, "--owner", "user/"+who).Owner; !c.Known || !c.Active || c.Public != a.Public {
			m.t.Errorf("registered: %v", c)
		}
	}
}
