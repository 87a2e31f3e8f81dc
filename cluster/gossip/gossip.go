package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Config of a Gossip. Times are wall time.
type Config struct {
	// Cluster's name: members of another one are strangers.
	Cluster string
	// Self is this run. Its Gossip address is where it listens (port 0: a free one).
	Self Member
	// Seeds are host:port of members to begin with: addresses, or a DNS name of which every address is tried (a
	// headless service). They are tried again for ever while none of them is seen.
	Seeds []string
	// Keys encrypt the gossip: 16, 24 or 32 bytes each. The first one encrypts, all decrypt: so a key is changed by
	// adding it behind, then in front, then removing the old one.
	Keys [][]byte

	// ProbeInterval, ProbeTimeout and SuspicionMult: a member that does not answer ProbeTimeout is asked through
	// others, then suspected for SuspicionMult · log10(members) · ProbeInterval, then dead: about 2.4 s for three.
	// Faster finds false deaths on a busy machine, and each of those restarts a node.
	ProbeInterval, ProbeTimeout time.Duration
	SuspicionMult               int
	// Spread is the interval of gossip messages.
	Spread time.Duration
	// Exchange is the interval at which two members compare all they know.
	Exchange time.Duration
	// Rejoin is how often seeds and lost members are tried.
	Rejoin time.Duration

	// Resolver finds the addresses of a seed's name; nil: the system's.
	Resolver Resolver
	Log      *slog.Logger

	wrap func(memberlist.NodeAwareTransport) memberlist.NodeAwareTransport // in tests: what goes out is looked at
}

// Resolver finds the addresses of a name (net.Resolver).
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Default has the settings that were tried with three nodes on busy machines.
func Default() Config {
	return Config{
		Cluster:       "paceline",
		ProbeInterval: 500 * time.Millisecond,
		ProbeTimeout:  250 * time.Millisecond,
		SuspicionMult: 3,
		Spread:        100 * time.Millisecond,
		Exchange:      10 * time.Second,
		Rejoin:        2 * time.Second,
		Log:           slog.Default(),
	}
}

// Gossip is this node's part. It is safe for concurrent use.
type Gossip struct {
	cfg    Config
	list   *memberlist.Memberlist
	meta   []byte
	counts Counts

	events chan struct{}   // capacity 1: memberlist has news
	ctx    context.Context // until Leave
	end    context.CancelFunc
	ended  sync.WaitGroup
	once   sync.Once

	mu      sync.Mutex
	notice  func(from string, msg []byte)
	extra   []string           // addresses beside the seeds to join
	refused map[string]Refusal // by address, as of the last round
}

// Start listens and joins whom it finds; that it finds nobody is not an error. changed gets everything that is seen,
// this run included, from one goroutine: at once, and whenever it is other than before. It ends with Leave, not with ctx.
func Start(ctx context.Context, cfg Config, changed func([]Member)) (*Gossip, error) {
	host, port, err := split(cfg.Self.Gossip)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: %w", cfg.Self.Gossip, err)
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	g := &Gossip{cfg: cfg, events: make(chan struct{}, 1)}
	g.ctx, g.end = context.WithCancel(context.WithoutCancel(ctx))
	if g.meta, err = (meta{Cluster: cfg.Cluster, Address: cfg.Self.Address, Public: cfg.Self.Public, Started: cfg.Self.StartedMs, Level: cfg.Self.Level}).encode(); err != nil {
		return nil, err
	}
	mc := memberlist.DefaultLANConfig()
	mc.Name = cfg.Self.ID
	mc.Label = cfg.Cluster
	if !net.ParseIP(host).IsUnspecified() {
		mc.AdvertiseAddr = host
	}
	mc.ProbeInterval, mc.ProbeTimeout, mc.SuspicionMult = cfg.ProbeInterval, cfg.ProbeTimeout, cfg.SuspicionMult
	mc.GossipInterval, mc.PushPullInterval = cfg.Spread, cfg.Exchange
	// Nobody is left to confirm that two of three have died: an unconfirmed suspicion waits twice as long as a confirmed
	// one, not six times (2.9 s for three members, with these settings).
	mc.SuspicionMaxTimeoutMult = 2
	// A node that is slow itself must not call others dead sooner than it could hear them.
	mc.AwarenessMaxMultiplier = 4
	mc.TCPTimeout = 2 * time.Second
	log := &lines{log: cfg.Log, counts: &g.counts}
	mc.Logger = log.logger()
	mc.Delegate, mc.Events = delegate{g}, events{g}
	if len(cfg.Keys) > 0 {
		if mc.Keyring, err = memberlist.NewKeyring(cfg.Keys, cfg.Keys[0]); err != nil {
			return nil, fmt.Errorf("gossip key: %w", err)
		}
	}
	inner, err := openDoor(host, port, log, &g.counts)
	if err != nil {
		return nil, err
	}
	at := inner.GetAutoBindPort()
	mc.Transport, mc.BindAddr, mc.BindPort, mc.AdvertisePort = inner, host, at, at
	if cfg.wrap != nil {
		mc.Transport = cfg.wrap(inner)
	}
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), inner.Shutdown())
	}
	g.ended.Add(2)
	go g.tell(changed)
	go g.join()
	return g, nil
}

// Address is where this node's gossip is reached.
func (g *Gossip) Address() string { return g.list.LocalNode().Address() }

// OnNotice says who takes what other members send by Send; from memberlist's goroutine, so it must not wait.
func (g *Gossip) OnNotice(f func(from string, msg []byte)) {
	g.mu.Lock()
	g.notice = f
	g.mu.Unlock()
}

// Also adds addresses to those that are tried while they are not seen, in place of those of the last call: members
// whose rows say that they are there.
func (g *Gossip) Also(addresses []string) {
	g.mu.Lock()
	g.extra = slices.Clone(addresses)
	g.mu.Unlock()
}

// Send sends a few bytes to another member, by a connection of its own.
func (g *Gossip) Send(to string, msg []byte) error {
	for _, n := range g.list.Members() {
		if n.Name == to {
			return g.list.SendReliable(n, append([]byte(g.cfg.Self.ID+"\n"), msg...))
		}
	}
	return fmt.Errorf("gossip: %s is not seen", to)
}

// Answers asks a member directly, and waits as long as a probe does. Somebody who is not seen does not answer.
func (g *Gossip) Answers(id string) bool {
	for _, n := range g.list.Members() {
		if n.Name == id {
			_, err := g.list.Ping(id, &net.UDPAddr{IP: n.Addr, Port: int(n.Port)})
			return err == nil
		}
	}
	return false
}

// leaveWithin is how long somebody who leaves waits until others have passed it on: some rounds of gossip.
const leaveWithin = 2 * time.Second

// Leave says goodbye to the others, as long as ctx lasts, and ends.
func (g *Gossip) Leave(ctx context.Context) error {
	var err error
	g.once.Do(func() {
		g.end()
		within := leaveWithin
		if at, ok := ctx.Deadline(); ok {
			within = min(within, max(time.Millisecond, time.Until(at)))
		}
		if len(g.list.Members()) > 1 {
			// Nobody may be left to say it to, if all leave at once; whoever is there notices by himself.
			if said := g.list.Leave(within); said != nil {
				g.cfg.Log.Info("gossip: left without a word that was heard", "err", said)
			}
		}
		err = errors.Join(err, g.list.Shutdown())
		g.ended.Wait()
	})
	return err
}

// settle is how long news are collected: a node that joins is several events.
const settle = 20 * time.Millisecond

// lookEvery is how often the list is looked at without being told: memberlist tells of a changed state before it is in
// its list, and of a suspicion not at all.
const lookEvery = 250 * time.Millisecond

// tell says what is seen whenever it has changed.
func (g *Gossip) tell(changed func([]Member)) {
	defer g.ended.Done()
	var last []Member
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-tick.C:
		case <-g.events:
			pause.Reset(settle)
			continue
		case <-g.ctx.Done():
			return
		}
		if now := seen(g.cfg.Cluster, g.list.Members()); last == nil || !slices.Equal(now, last) {
			last = now
			changed(now)
		}
	}
}

func split(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("want a port from 0 to 65535")
	}
	if net.ParseIP(host) == nil {
		return "", 0, fmt.Errorf("want an IP address to listen on")
	}
	return host, int(n), nil
}

// delegate and events are called under memberlist's lock: they only leave word.
type (
	delegate struct{ g *Gossip }
	events   struct{ g *Gossip }
)

func (e events) news() {
	select {
	case e.g.events <- struct{}{}:
	default:
	}
}
func (e events) NotifyJoin(*memberlist.Node)   { e.news() }
func (e events) NotifyLeave(*memberlist.Node)  { e.news() }
func (e events) NotifyUpdate(*memberlist.Node) { e.news() }

func (d delegate) NodeMeta(int) []byte { return d.g.meta }

// NotifyMsg hands a message on that a member sent by Send.
func (d delegate) NotifyMsg(b []byte) {
	from, msg, ok := bytes.Cut(bytes.Clone(b), []byte("\n"))
	d.g.mu.Lock()
	notice := d.g.notice
	d.g.mu.Unlock()
	if ok && notice != nil {
		go notice(string(from), msg)
	}
}
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (d delegate) LocalState(bool) []byte          { return nil }
func (d delegate) MergeRemoteState([]byte, bool)   {}
