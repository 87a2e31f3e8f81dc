package archtest

import (
	"fmt"
	"strings"
)

const (
	module     = "paceline"
	protoActor = "github.com/asynkron/protoactor-go"
	rapid      = "pgregory.net/rapid"
)

// room is the kind of place that a package is; the arrows go from room to room.
type room string

const (
	domain    room = "domain"
	rules     room = "rules"
	machine   room = "machine"
	codec     room = "codec"
	shell     room = "shell"
	api       room = "api"
	cluster   room = "cluster"
	contract  room = "persistence"
	view      room = "persistence/view"
	driver    room = "driver"
	memory    room = "persistence/memory"
	suite     room = "persistence/persistencetest"
	gateway   room = "gateway"
	web       room = "web"
	pipeline  room = "pipeline"
	oracle    room = "simulations/oracle"
	world     room = "simulations/world"
	simulated room = "simulations"
	obs       room = "internal/obs"
	testkit   room = "internal/testkit"
	archtest  room = "internal/archtest"
	program   room = "cmd"
)

// arrows says which rooms a room may import; its own room is allowed only where it is named. What is not
// named is forbidden. cmd imports all and is imported by none.
var arrows = map[room][]room{
	domain:    {domain},
	rules:     {rules, domain},
	machine:   {contract, domain, obs},
	codec:     {rules, api, domain, obs},
	shell:     {rules, codec, machine, contract, api, domain, obs},
	cluster:   {cluster, contract, api, domain, obs},
	gateway:   {gateway, cluster, view, api, domain, web, obs},
	contract:  {domain, obs},
	view:      {contract, domain, obs},
	driver:    {contract, view, domain, obs},
	memory:    {memory, contract, view, domain, obs},
	suite:     {memory, contract, view, domain},
	pipeline:  {pipeline, contract, view, rules, codec, api, domain, obs},
	api:       {api, domain, obs},
	web:       {},
	obs:       {},
	oracle:    {},
	world:     allBut(program, web, archtest),
	simulated: allBut(program, archtest),
	testkit:   {contract, view, memory, suite, machine, rules, codec, api, domain, obs},
	archtest:  {},
	program:   allBut(program, archtest),
}

// arrowsOfTests are allowed to test files beside what their package may import anyway: a shell is tested on
// the memory store, never on a real one.
var arrowsOfTests = []room{memory, suite, testkit}

// moreForTests are single rooms' additions: a rule's test may read its own stored form, a decorator's test
// may decorate a real store, views are rebuilt on real ones, and the oracle is compared with what it checks in
// simulations/world, not here.
var moreForTests = map[room][]room{
	driver:   {driver},
	memory:   {driver},
	pipeline: {driver},
}

// ioBans are for rules and domain: no clock, no I/O, no goroutine, no chance. A path bans what is below it.
var ioBans = []string{
	"context", "os", "net", "sync", "log", "math/rand", "crypto/rand", "syscall", "runtime",
	"io/ioutil", "embed", "plugin", "expvar", "database", "testing",
}

// libraryHomes names the libraries that only some packages may know, so that they can be replaced there.
// Test files of any package outside the bans may use them.
var libraryHomes = []struct {
	library string
	homes   []string
	why     string
}{
	{protoActor, []string{"cluster", "actors/*/*grain", "cmd/node", "simulations/trial", "simulations/swarm"},
		"the runtime is known to the cluster and to grain.go, so that everything else runs without it"},
	{"github.com/cockroachdb/pebble", []string{"persistence/embedded"}, "a store is known to its driver"},
	{"github.com/scylladb/gocqlx", []string{"persistence/cql"}, "a store is known to its driver"},
	{"github.com/gocql/gocql", []string{"persistence/cql"}, "a store is known to its driver"},
	{"github.com/dgraph-io/ristretto", []string{"persistence/cached"}, "the cache is a decorator"},
	{"github.com/hashicorp/memberlist", []string{"cluster/gossip"}, "membership has one authority"},
	{"github.com/coder/websocket", []string{"gateway/ws", "api", "simulations/swarm"}, "sockets end at the edge"},
}

// roomOf places a package, named by its path below the module ("" is the module's root).
func roomOf(path string) (room, error) {
	part := strings.Split(path, "/")
	switch part[0] {
	case "domain":
		return domain, nil
	case "api":
		return api, nil
	case "actors":
		return roomOfActor(part)
	case "cluster":
		return cluster, nil
	case "gateway":
		return gateway, nil
	case "pipeline":
		return pipeline, nil
	case "web":
		return web, nil
	case "cmd":
		return program, nil
	case "persistence":
		return roomOfPersistence(part), nil
	case "simulations":
		return roomOfSimulation(part), nil
	case "internal":
		if len(part) == 2 {
			if r := room(path); contains([]room{obs, testkit, archtest}, r) {
				return r, nil
			}
		}
	}
	return "", fmt.Errorf("%s has no place in the house: it is in no row of the arrows", path)
}

func roomOfActor(part []string) (room, error) {
	switch {
	case len(part) == 2 && part[1] == "machine":
		return machine, nil
	case len(part) == 2:
		return rules, nil
	case len(part) == 3 && part[2] == part[1]+"codec":
		return codec, nil
	case len(part) == 3 && part[2] == part[1]+"grain":
		return shell, nil
	}
	return "", fmt.Errorf("%s: a slice has three packages: <x>, <x>codec, <x>grain", strings.Join(part, "/"))
}

func roomOfPersistence(part []string) room {
	if len(part) == 1 {
		return contract
	}
	switch part[1] {
	case "view":
		return view
	case "memory", "faulty": // a store that tests may use, and what makes it fail
		return memory
	case "persistencetest":
		return suite
	}
	return driver
}

func roomOfSimulation(part []string) room {
	if len(part) > 1 {
		switch part[1] {
		case "oracle":
			return oracle
		case "world":
			return world
		}
	}
	return simulated
}

// checkArrow judges one import of one package; inTest says that a test file has it. nil is allowed.
func checkArrow(from, imported string, inTest bool) error {
	r, err := roomOf(from)
	if err != nil {
		return err
	}
	switch target, kind := origin(imported); kind {
	case ours:
		return checkOurs(r, from, target, inTest)
	case standard:
		if (r == rules || r == domain) && !inTest {
			return checkBan(r, from, imported)
		}
		if r == oracle && !inTest && under(imported, "net") {
			return fmt.Errorf("%s (%s) imports %s: the oracle only computes", from, r, imported)
		}
		return nil
	default:
		return checkLibrary(r, from, imported, inTest)
	}
}

func checkOurs(r room, from, target string, inTest bool) error {
	if target == from { // an external test package imports what it tests
		return nil
	}
	if r == oracle {
		// Separately written: sharing more than units would share the mistakes too.
		if target == "domain/unit" {
			return nil
		}
		return fmt.Errorf("%s imports %s: the oracle shares domain/unit with the rest and nothing else", from, target)
	}
	to, err := roomOf(target)
	if err != nil {
		return fmt.Errorf("%s imports %w", from, err)
	}
	if contains(arrows[r], to) || inTest && (contains(arrowsOfTests, to) || contains(moreForTests[r], to)) {
		return nil
	}
	return fmt.Errorf("%s (%s) imports %s (%s): there is no such arrow", from, r, target, to)
}

func checkBan(r room, from, imported string) error {
	for _, ban := range ioBans {
		if under(imported, ban) {
			return fmt.Errorf("%s (%s) imports %s: %s have no clock, no I/O, no goroutine and no chance", from, r, imported, r)
		}
	}
	return nil
}

func checkLibrary(r room, from, imported string, inTest bool) error {
	pure := r == rules || r == domain || r == oracle
	if pure && (!inTest || !under(imported, rapid)) {
		return fmt.Errorf("%s (%s) imports %s: %s have no third party (their tests have rapid)", from, r, imported, r)
	}
	if r == world && under(imported, protoActor) {
		return fmt.Errorf("%s imports %s: the world runs the Step objects without a runtime", from, imported)
	}
	if inTest {
		return nil
	}
	for _, lib := range libraryHomes {
		if !under(imported, lib.library) {
			continue
		}
		for _, home := range lib.homes {
			if atHome(from, home) {
				return nil
			}
		}
		return fmt.Errorf("%s imports %s: %s", from, imported, lib.why)
	}
	return nil
}

type source int

const (
	ours source = iota
	standard
	thirdParty
)

func origin(imported string) (string, source) {
	if imported == module {
		return "", ours
	}
	if rest, ok := strings.CutPrefix(imported, module+"/"); ok {
		return rest, ours
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return imported, standard
	}
	return imported, thirdParty
}

func allBut(not ...room) []room {
	all := []room{domain, rules, machine, codec, shell, api, cluster, contract, view, driver, memory, suite,
		gateway, web, pipeline, oracle, world, simulated, obs, testkit, archtest, program}
	var kept []room
	for _, r := range all {
		if !contains(not, r) {
			kept = append(kept, r)
		}
	}
	return kept
}

func contains(rooms []room, r room) bool {
	for _, one := range rooms {
		if one == r {
			return true
		}
	}
	return false
}

// under is true for the path itself, what is below it, and its major versions (pebble, pebble/v2/vfs).
func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// atHome matches a package with a home: "cluster" means it and all below; "actors/*/*grain" is a pattern.
func atHome(from, home string) bool {
	if !strings.Contains(home, "*") {
		return under(from, home)
	}
	r, err := roomOf(from)
	return err == nil && home == "actors/*/*grain" && r == shell
}
