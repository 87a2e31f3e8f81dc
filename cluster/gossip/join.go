package gossip

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Refusal is why somebody who is there cannot be joined.
type Refusal struct {
	Address string
	Why     string
	// Sure: he answers, and what he answers says that this node is configured otherwise. Else he only hangs up.
	Sure bool
}

// What is wrong with somebody who is there.
const (
	otherKey  = "its gossip key is another one"
	noKeyHere = "it gossips with a key, and this node has none"
	noKeyThat = "it gossips without a key, and this node has one"
	hangsUp   = "it hangs up: another cluster's name, or no node at all"
)

// Refused are those who are there and could not be joined in the last round, by address.
func (g *Gossip) Refused() []Refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Refusal
	for _, r := range g.refused {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Compare(a.Address, b.Address) })
	return all
}

// Alone is who surely refuses this node, if nobody else is seen.
func (g *Gossip) Alone() (Refusal, bool) {
	if g.list.NumMembers() > 1 {
		return Refusal{}, false
	}
	for _, r := range g.Refused() {
		if r.Sure {
			return r, true
		}
	}
	return Refusal{}, false
}

// join tries the seeds, and the members that rows speak of, for as long as they are not seen.
func (g *Gossip) join() {
	defer g.ended.Done()
	tick := time.NewTicker(g.cfg.Rejoin)
	defer tick.Stop()
	said := make(map[string]string)
	for {
		g.round(said)
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return
		}
	}
}

// round tries everybody who is missing once. What is wrong with a place is told when it is other than before (said).
func (g *Gossip) round(said map[string]string) {
	g.mu.Lock()
	seeds, extra := g.cfg.Seeds, slices.Clone(g.extra)
	g.mu.Unlock()
	refused := make(map[string]Refusal)
	now := make(map[string]string)
	for _, place := range append(slices.Clone(seeds), extra...) {
		if _, twice := now[place]; twice || g.ctx.Err() != nil {
			continue
		}
		now[place] = g.try(place, refused)
	}
	for place, wrong := range now {
		switch {
		case wrong == said[place] || g.ctx.Err() != nil:
		case wrong == "":
			g.cfg.Log.Info("gossip: found", "address", place)
		case slices.Contains(seeds, place):
			g.cfg.Log.Warn("gossip: a seed cannot be joined; it is tried again and again", "seed", place, "why", wrong)
		default:
			g.cfg.Log.Debug("gossip: a member that has a row cannot be joined", "address", place, "why", wrong)
		}
	}
	clear(said)
	for place, wrong := range now {
		said[place] = wrong
	}
	g.mu.Lock()
	g.refused = refused
	g.mu.Unlock()
}

// try joins whoever is at a place and is not seen; "": somebody of it is, else what is wrong with the first address.
func (g *Gossip) try(place string, refused map[string]Refusal) (wrong string) {
	host, port, err := net.SplitHostPort(place)
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(g.ctx, lookupWithin)
	found, err := g.cfg.Resolver.LookupHost(ctx, host)
	cancel()
	if err != nil {
		return "its name is not known: " + err.Error()
	}
	any := false
	for _, ip := range found {
		at := net.JoinHostPort(ip, port)
		if g.sees(at) {
			any = any || at != g.Address()
			continue
		}
		_, err := g.list.Join([]string{at})
		if err == nil {
			any = true
			continue
		}
		why, there, sure := meaning(err)
		if there {
			refused[at] = Refusal{Address: at, Why: why, Sure: sure}
		}
		if wrong == "" || there {
			wrong = why
		}
	}
	if any {
		return ""
	}
	return wrong
}

// lookupWithin bounds the question for a name.
const lookupWithin = time.Second

// sees says whether somebody is seen at an address.
func (g *Gossip) sees(at string) bool {
	for _, n := range g.list.Members() {
		if n.Address() == at {
			return true
		}
	}
	return false
}

// meaning of an error of Join: memberlist says in words what the other side answered.
func meaning(err error) (why string, there, sure bool) {
	text := err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("no installed keys could decrypt"):
		return otherKey, true, true
	case has("remote error: remote state is encrypted"), has("remote state is not encrypted"):
		return noKeyThat, true, true
	case has("remote state is encrypted"):
		return noKeyHere, true, true
	case has(syscall.ECONNREFUSED.Error()):
		return "nobody listens there", false, false
	case has("EOF"), has(syscall.ECONNRESET.Error()), has(syscall.EPIPE.Error()):
		return hangsUp, true, false
	}
	return strings.Join(strings.Fields(text), " "), false, false
}
