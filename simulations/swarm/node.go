package swarm

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// Node is a running node as its clients know it: its API, its clock and tokens for it.
type Node struct {
	URL          string   // http://host:port
	Also         []string // of other nodes of its cluster, which are asked when this one does not answer
	Users        managev1.UserServiceClient
	Devices      managev1.DeviceServiceClient
	Trainings    managev1.TrainingServiceClient
	Competitions managev1.CompetitionServiceClient
	Clocks       managev1.NodeServiceClient

	token    func(subject string) (string, error)
	answered *Answers

	mu     sync.Mutex
	clock  nodeClock
	cache  map[string]string
	others []*Node // one for each address, see Spread
}

// nodeClock is now = node + rate · (wall − at).
type nodeClock struct {
	at   time.Time // monotonic
	node unit.InstantMs
	rate float64
	rtt  time.Duration
}

// operatorSubject is who manages.
const operatorSubject = "operator:swarm"

// Connect finds the node's clock. token mints access tokens for a subject ("athlete:<id>", "operator:<id>").
func Connect(ctx context.Context, url string, token func(subject string) (string, error), also ...string) (*Node, error) {
	n := &Node{URL: strings.TrimSuffix(url, "/"), Also: also, token: token, answered: &Answers{}, cache: map[string]string{}}
	bearer := connect.WithInterceptors(bearer{n})
	hc := &http.Client{Transport: &http.Transport{DialContext: n.dial, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second}}
	n.Users = managev1.NewUserServiceClient(hc, n.URL, bearer)
	n.Devices = managev1.NewDeviceServiceClient(hc, n.URL, bearer)
	n.Trainings = managev1.NewTrainingServiceClient(hc, n.URL, bearer)
	n.Competitions = managev1.NewCompetitionServiceClient(hc, n.URL, bearer)
	n.Clocks = managev1.NewNodeServiceClient(hc, n.URL, bearer)
	return n, n.ReadClock(ctx)
}

// dial takes the next of the addresses if one does not answer, as a load balancer in front of the nodes would.
func (n *Node) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	for _, other := range n.Also {
		if err == nil {
			break
		}
		conn, err = d.DialContext(ctx, network, strings.TrimPrefix(other, "http://"))
	}
	return conn, err
}

// ReadClock takes the best of five readings.
func (n *Node) ReadClock(ctx context.Context) error {
	best := nodeClock{rtt: time.Hour}
	for range 5 {
		before := time.Now()
		r, err := n.Clocks.GetClock(ctx, connect.NewRequest(&managev1.GetClockRequest{}))
		if err != nil {
			return fmt.Errorf("swarm: read the node's clock: %w", err)
		}
		rtt := time.Since(before)
		if rtt < best.rtt {
			best = nodeClock{at: before.Add(rtt / 2), node: unit.InstantMs(r.Msg.NowMs), rate: r.Msg.Rate, rtt: rtt}
		}
	}
	if best.rate <= 0 {
		return fmt.Errorf("swarm: the node's clock runs at %v", best.rate)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock = best
	return nil
}

// Now is the node's clock.
func (n *Node) Now() unit.InstantMs {
	n.mu.Lock()
	c := n.clock
	n.mu.Unlock()
	return c.node.Add(unit.DurationMs(c.rate * float64(time.Since(c.at)) / float64(time.Millisecond)))
}

// Rate is how fast the node's clock runs.
func (n *Node) Rate() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.clock.rate
}

// Until is how long by the wall until the node's clock shows at.
func (n *Node) Until(at unit.InstantMs) time.Duration {
	n.mu.Lock()
	c := n.clock
	n.mu.Unlock()
	wall := c.at.Add(time.Duration(float64(at.Sub(c.node)) / c.rate * float64(time.Millisecond)))
	return time.Until(wall)
}

// Token is an access token for a subject; minted once.
func (n *Node) Token(subject string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t := n.cache[subject]; t != "" {
		return t, nil
	}
	t, err := n.token(subject)
	if err != nil {
		return "", fmt.Errorf("swarm: token for %s: %w", subject, err)
	}
	n.cache[subject] = t
	return t, nil
}

// NewID mints an id with the node's clock.
func (n *Node) NewID() string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	return id.New(n.Now(), b)
}

// Answered are the commands that were answered, of all clients that know this node from Connect or Spread.
func (n *Node) Answered() []Answer { return n.answered.All() }

// Live is the address of the live protocol.
func (n *Node) Live() string { return liveOf(n.URL) }

// AlsoLive are the addresses of the live protocol of the other nodes.
func (n *Node) AlsoLive() []string {
	var all []string
	for _, other := range n.Also {
		all = append(all, liveOf(other))
	}
	return all
}

func liveOf(url string) string { return "ws" + strings.TrimPrefix(url, "http") + "/live" }

// Spread is this node as the i-th client knows it: with another one of the cluster's as its first.
func (n *Node) Spread(i int) *Node {
	if len(n.Also) == 0 {
		return n
	}
	all := append([]string{n.URL}, n.Also...)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.others == nil {
		n.others = make([]*Node, len(all))
		for k := range all {
			n.others[k] = &Node{URL: all[k], Also: append(append([]string{}, all[k+1:]...), all[:k]...),
				token: n.Token, answered: n.answered, clock: n.clock, cache: map[string]string{}}
		}
	}
	return n.others[i%len(all)]
}

// bearer puts the operator's token on every request, and keeps what commands were answered.
type bearer struct{ n *Node }

func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		t, err := b.n.Token(operatorSubject)
		if err != nil {
			return nil, err
		}
		r.Header().Set("Authorization", "Bearer "+t)
		a, err := next(ctx, r)
		if err == nil {
			b.n.answered.managed(r.Any(), a.Any())
		}
		return a, err
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, s connect.Spec) connect.StreamingClientConn {
		c := next(ctx, s)
		if t, err := b.n.Token(operatorSubject); err == nil { // without one the node says why not
			c.RequestHeader().Set("Authorization", "Bearer "+t)
		}
		return c
	}
}

func (b bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Result is the newest result of a race, whole: all its pages, of one version.
func (n *Node) Result(ctx context.Context, competition string) (*competitionv1.ResultPublished, error) {
	var whole *competitionv1.ResultPublished
	for ask := (&managev1.GetResultRequest{CompetitionId: competition}); ; {
		r, err := n.Competitions.GetResult(ctx, connect.NewRequest(ask))
		if err != nil {
			return nil, fmt.Errorf("swarm: result of %s: %w", competition, err)
		}
		if whole == nil {
			whole = r.Msg.Result
		} else {
			whole.Rows = append(whole.Rows, r.Msg.Result.GetRows()...)
			whole.Input = append(whole.Input, r.Msg.Result.GetInput()...)
		}
		if ask.PageToken = r.Msg.NextPageToken; ask.PageToken == "" {
			return whole, nil
		}
	}
}
