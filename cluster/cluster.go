package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"

	"paceline/cluster/call"
	"paceline/cluster/link"
	"paceline/cluster/placement"
)

// Kind makes the activations of one kind of grain.
type Kind = placement.Kind

// Config of a member.
type Config struct {
	// Name of the cluster: members of another name are strangers.
	Name string
	// Host and Port of the members' own traffic. Port 0 takes a free one.
	Host      string
	Port      int
	Call      call.Config
	Link      link.Config
	Placement placement.Config
	// Log gets warnings and errors of the runtime too.
	Log *slog.Logger
}

// Default is a lone member on loopback.
func Default() Config {
	return Config{Name: "paceline", Host: "127.0.0.1", Call: call.Default(), Link: link.Default(), Placement: placement.Default(), Log: slog.Default()}
}

// The runtime's numbers (see the findings behind this package): its own are for one message a day or for a memory
// without end.
const (
	writerQueue   = 4096     // slots; its default is a ring of 16 MB for each peer
	writerBatch   = 256      // messages; its default can exceed gRPC's limit and lose the whole batch
	maxMessage    = 64 << 20 // bytes on the wire for one batch
	heartbeatOff  = 24 * time.Hour
	requestsAfter = 2 * time.Second
)

// Cluster is this process as a member.
type Cluster struct {
	cfg       Config
	system    *actor.ActorSystem
	runtime   *pcluster.Cluster
	provider  *lone
	placement *placement.Placement
	caller    *call.Caller
	link      *link.Link
}

// Start makes this process a member. kinds is asked once, with a cluster whose Caller and Link can already be kept
// (and are used only by grains, that is, later). It takes a second: the runtime sleeps that long.
func Start(cfg Config, kinds func(*Cluster) []Kind) (c *Cluster, err error) {
	defer func() {
		if r := recover(); r != nil { // the runtime panics where it cannot listen
			err = fmt.Errorf("start member: %v", r)
		}
	}()
	c = &Cluster{cfg: cfg, provider: &lone{}}
	c.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return warnings(cfg.Log) }),
		actor.WithDeadLetterRequestLogging(false),
	)
	c.placement = placement.New(cfg.Placement, cfg.Log)
	c.caller = call.New(c.system, c.placement, cfg.Call, cfg.Log)
	c.link = link.New(c.system, c.placement, c.caller, c.placement, cfg.Link)
	c.caller.Over(c.link)

	served := kinds(c)
	for _, k := range served {
		c.provider.kinds = append(c.provider.kinds, string(k.Name))
	}
	c.placement.Serve(served, c.caller, handover{c.link}, func() {
		c.caller.MembersChanged()
		c.link.MembersChanged()
	})
	c.runtime = pcluster.New(c.system, pcluster.Configure(cfg.Name, c.provider, c.placement, c.remote(),
		pcluster.WithHeartbeatExpiration(heartbeatOff), // membership has one authority: the provider
		pcluster.WithRequestTimeout(requestsAfter),
	))
	c.runtime.StartMember()
	if err := c.link.Open(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cluster) remote() *remote.Config {
	return remote.Configure(c.cfg.Host, c.cfg.Port,
		remote.WithEndpointWriterQueueSize(writerQueue),
		remote.WithEndpointWriterBatchSize(writerBatch),
		remote.WithEndpointManagerQueueSize(writerQueue),
		remote.WithServerOptions(append(refusePeers(), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...),
	)
}

// Caller is the way to grains.
func (c *Cluster) Caller() *call.Caller { return c.caller }

// Link is the way to the hubs of nodes.
func (c *Cluster) Link() *link.Link { return c.link }

// Placement is this member's part of the placement.
func (c *Cluster) Placement() *placement.Placement { return c.placement }

// Member is this member's id: of this run of the process.
func (c *Cluster) Member() string { return c.system.ID }

// Address is where members reach this one.
func (c *Cluster) Address() string { return c.system.Address() }

// Stop drains the grains, as long as ctx lasts, and leaves. What did not end in time ends as in a crash.
func (c *Cluster) Stop(ctx context.Context) error {
	err := c.placement.Drain(ctx)
	c.link.Close()
	_ = c.provider.Shutdown(true)
	// Not the runtime's graceful way: it takes over before it stops, and sleeps two seconds.
	c.runtime.Shutdown(false)
	return err
}
