package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paceline/simulations/swarm"
)

// What cannot be is said in a sentence, before anything is started.
func TestNodesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string // empty: fine
	}{
		{Options{}, ""},
		{Options{Nodes: 3, Store: storeCQL}, ""},
		{Options{Nodes: 3}, "NODES=3 STORE=cql"},
		{Options{Nodes: 2, Store: "embedded"}, "a store that they share"},
		{Options{Nodes: -1}, "want 1 to 9"},
		{Options{Nodes: 10, Store: storeCQL}, "want 1 to 9"},
		{Options{Nodes: 3, Store: storeCQL, Port: 65534}, "with room for one of each node"},
	} {
		c.o.Binary = "paceline"
		o, err := c.o.withDefaults()
		switch {
		case c.want == "" && (err != nil || o.Nodes < 1):
			t.Errorf("%+v: %d nodes, %v", c.o, o.Nodes, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

// What a node sees is its last word about it.
func TestSees(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "node-1.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := &child{log: log}
	if c.sees(1) {
		t.Error("sees before it has said anything")
	}
	for _, line := range []string{"level=INFO msg=members count=3 members=\"[a b c]\"\n", "level=INFO msg=members count=1 members=[a]\n", "level=INFO msg=serving\n"} {
		if _, err := log.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	if !c.sees(1) || c.sees(3) || c.sees(11) {
		t.Errorf("sees 1: %v, 3: %v", c.sees(1), c.sees(3))
	}
}

// The node that is killed is the race's, and the page that is named is another's.
func TestThePageIsNotOfTheNodeThatDies(t *testing.T) {
	r := &run{o: Options{Kill: true, Stdout: &strings.Builder{}}, race: &enrolled{}}
	for _, address := range []string{"127.0.0.1:1001", "127.0.0.1:1002", "127.0.0.1:1003"} {
		r.nodes = append(r.nodes, &child{name: address, among: address, address: address})
	}
	homes := map[string]bool{}
	for i := range 30 {
		r.race.competition, r.show = string(rune('a'+i)), r.nodes[0]
		r.sayPages()
		if r.show == r.home() {
			t.Fatalf("race %s: the page of %s, which is going to be killed", r.race.competition, r.show.name)
		}
		homes[r.home().name] = true
	}
	if len(homes) != len(r.nodes) {
		t.Errorf("races live on %v only", homes)
	}
	if swarm.Owner("a", []string{"x"}) != 0 {
		t.Error("a lone node owns every race")
	}
}
