package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/cluster/gossip"
	"paceline/cluster/level"
	"paceline/cluster/link"
	"paceline/cluster/placement"
	"paceline/cluster/port"
)

// Kind makes the activations of one kind of grain.
type Kind = placement.Kind

// Config of a member.
type Config struct {
	// Name of the cluster: members of another name are strangers.
	Name string
	// Host and Port of the members' own traffic. Port 0 takes a free one.
	Host string
	Port int
	// Advertise is host:port at which other members reach Port, if it is another address.
	Advertise string
	// Many makes this a member of a cluster of many; nil: it is one of its own, and its port refuses everybody.
	Many *Many

	// Level says which messages other members may be sent.
	Level *level.Current

	Call      call.Config
	Link      link.Config
	Placement placement.Config
	// Log gets warnings and errors of the runtime too.
	Log *slog.Logger
}

// Default is a lone member on loopback.
func Default() Config {
	return Config{Name: "paceline", Host: "127.0.0.1", Level: &level.Current{}, Call: call.Default(), Link: link.Default(), Placement: placement.Default(), Log: slog.Default()}
}

// The runtime's numbers (see the findings behind this package): its own are for one message a day or for a memory
// without end.
const (
	writerQueue   = 4096     // slots; its default is a ring of 16 MB for each peer
	writerBatch   = 256      // messages; its default can exceed gRPC's limit and lose the whole batch
	maxMessage    = 64 << 20 // bytes on the wire for one batch
	never         = 1000 * time.Hour
	requestsAfter = 2 * time.Second
)

// A connection that is silent is asked after pingEvery and given up after pingWithin; a lost one is tried again soon,
// because a node that restarts is back in a second.
const (
	pingEvery  = 20 * time.Second
	pingWithin = 5 * time.Second
)

var reconnect = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond}

// Cluster is this process as a member.
type Cluster struct {
	cfg       Config
	system    *actor.ActorSystem
	runtime   *pcluster.Cluster
	provider  provider
	placement *placement.Placement
	caller    *call.Caller
	link      *link.Link
	filter    *port.Filter
	stopped   sync.Once

	mu       sync.Mutex
	watchers []func()
}

// provider is the membership that the runtime is told.
type provider interface {
	pcluster.ClusterProvider
	serve(kinds []string)
	leave(ctx context.Context) error
	// others that serve beside this one.
	others() []gossip.Member
	// report is what is known of everybody, and since when the members are what they are.
	report() ([]Known, time.Time)
	// turnedAt is when the membership was last looked at.
	turnedAt() time.Time
	// serves is closed when this member serves for the first time.
	serves() <-chan struct{}
}

// Start makes this process a member. kinds is asked once, with a cluster whose Caller and Link can already be kept
// (and are used only by grains, that is, later). It takes a second: the runtime sleeps that long. It ends with Stop, not
// with ctx.
func Start(ctx context.Context, cfg Config, kinds func(*Cluster) []Kind) (c *Cluster, err error) {
	defer func() {
		if r := recover(); r != nil { // the runtime panics where it cannot listen
			err = cannotStart(r, net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)))
		}
	}()
	if cfg.Many != nil {
		if err := admitted(ctx, cfg); err != nil {
			return nil, err
		}
	}
	c = &Cluster{cfg: cfg, provider: &lone{}}
	if cfg.Many != nil {
		c.filter = port.NewFilter(port.Allowed{Type: string((&clusterv1.Parcel{}).ProtoReflect().Descriptor().FullName()), Target: link.Name, Address: func() string { return c.system.Address() }}, cfg.Log)
		c.provider = newMembers(ctx, cfg.Name, *cfg.Many, cfg.Log)
	}
	c.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return warnings(cfg.Log) }),
		actor.WithDeadLetterRequestLogging(false),
	)
	c.placement = placement.New(cfg.Placement, cfg.Log)
	c.caller = call.New(c.system, c.placement, cfg.Call, cfg.Log)
	c.link = link.New(c.system, c.placement, c.caller, c.placement, cfg.Link)
	c.caller.Over(c.link)

	served := kinds(c)
	var names []string
	for _, k := range served {
		names = append(names, string(k.Name))
	}
	c.provider.serve(names)
	c.placement.Serve(served, c.caller, handover{c.link}, func() {
		c.caller.MembersChanged()
		c.link.MembersChanged()
		c.tellWatchers()
	})
	settings := pcluster.Configure(cfg.Name, c.provider, c.placement, c.remote(),
		pcluster.WithHeartbeatExpiration(never), // membership has one authority: the provider
		pcluster.WithRequestTimeout(requestsAfter),
	)
	settings.GossipInterval = never // so nothing of the runtime's own crosses the port
	c.runtime = pcluster.New(c.system, settings)
	c.runtime.StartMember()
	if err := c.link.Open(); err != nil {
		return nil, err
	}
	return c, nil
}

// cannotStart says in one sentence why the runtime has panicked. It keeps the text of the system's error only.
func cannotStart(r any, address string) error {
	text := fmt.Sprint(r)
	if strings.Contains(text, "failed to listen") && strings.Contains(text, "address already in use") {
		return fmt.Errorf("cannot listen for other nodes on %s: another process uses this port (choose another with --cluster-listen)", address)
	}
	if err, is := r.(error); is {
		return fmt.Errorf("start member: %w", err)
	}
	return fmt.Errorf("start member: %v", r)
}

func (c *Cluster) remote() *remote.Config {
	guard := refusePeers()
	creds := insecure.NewCredentials()
	if c.cfg.Many != nil {
		server := creds
		if cert := c.cfg.Many.Certificate; cert != nil {
			cert.SayTo(c.cfg.Log)
			server, creds = credentials.NewTLS(cert.Server()), credentials.NewTLS(cert.Client())
		}
		guard = c.filter.Server(server)
	}
	options := []remote.ConfigOption{
		remote.WithEndpointWriterQueueSize(writerQueue),
		remote.WithEndpointWriterBatchSize(writerBatch),
		remote.WithEndpointManagerQueueSize(writerQueue),
		remote.WithServerOptions(append(guard,
			grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingWithin}))...),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(creds),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingWithin, PermitWithoutStream: true}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: time.Second}),
			grpc.WithStreamInterceptor(port.Connect)),
	}
	if c.cfg.Advertise != "" {
		options = append(options, remote.WithAdvertisedHost(c.cfg.Advertise))
	}
	return remote.Configure(c.cfg.Host, c.cfg.Port, options...)
}

// Watch calls f now and whenever the members change, one call at a time. It may only leave word.
func (c *Cluster) Watch(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers = append(c.watchers, f)
	f()
}

func (c *Cluster) tellWatchers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.watchers {
		f()
	}
}

// Owns reports whether this member owns an affinity now.
func (c *Cluster) Owns(affinity string) bool {
	owner, ok := c.placement.Members().Owner(affinity)
	return ok && owner.ID == c.system.ID
}

// Filter is what looks at the port between members; nil for a lone one.
func (c *Cluster) Filter() *port.Filter { return c.filter }

// Certificate is this member's; nil if it has none.
func (c *Cluster) Certificate() *port.Certificate {
	if c.cfg.Many == nil {
		return nil
	}
	return c.cfg.Many.Certificate
}

// Gossip is how members are seen; nil for a lone one.
func (c *Cluster) Gossip() *gossip.Gossip {
	if m, many := c.provider.(*members); many {
		return m.gossip
	}
	return nil
}

// Others are the members that serve beside this one.
func (c *Cluster) Others() []gossip.Member { return c.provider.others() }

// Serves is closed when this member has begun to serve: a beginner that cannot see those who do waits for them.
func (c *Cluster) Serves() <-chan struct{} { return c.provider.serves() }

// Abandon drops all grains of this member as a crash would: others serve.
func (c *Cluster) Abandon() { c.placement.Abandon() }

// Caller is the way to grains.
func (c *Cluster) Caller() *call.Caller { return c.caller }

// Link is the way to the hubs of nodes.
func (c *Cluster) Link() *link.Link { return c.link }

// Placement is this member's part of the placement.
func (c *Cluster) Placement() *placement.Placement { return c.placement }

// System is the runtime that this member's actors live in.
func (c *Cluster) System() *actor.ActorSystem { return c.system }

// Member is this member's id: of this run of the process.
func (c *Cluster) Member() string { return c.system.ID }

// Address is where members reach this one.
func (c *Cluster) Address() string { return c.system.Address() }

// leaveWithin is how long leaving may take, whatever is left of the time that draining had: a member that does not say
// that it goes is missed only after seconds.
const leaveWithin = 3 * time.Second

// Stop drains the grains, as long as ctx lasts, and leaves. What did not end in time ends as in a crash. Between the two
// it calls drained: what goes on until then.
func (c *Cluster) Stop(ctx context.Context, drained ...func()) (err error) {
	c.stopped.Do(func() {
		err = c.placement.Drain(ctx)
		for _, f := range drained {
			f()
		}
		c.link.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer cancel()
		err = errors.Join(err, c.provider.leave(ctx))
		c.runtime.Gossip.Shutdown() // its loop looks for the end only between two messages, that is, never
		// Not the runtime's graceful way: it takes over before it stops, and sleeps two seconds.
		c.runtime.Shutdown(false)
	})
	return err
}
