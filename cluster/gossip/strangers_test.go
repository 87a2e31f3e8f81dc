package gossip

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func keyed(keys ...byte) func(*Config) {
	return func(c *Config) {
		c.Keys = nil
		for _, k := range keys {
			c.Keys = append(c.Keys, bytes.Repeat([]byte{k}, 32))
		}
	}
}

// TestStrangersAreNotSeen: another key, another name, encrypted here and not there: neither side sees the other, the one
// who comes can say why, and those who were there notice nothing but a line in the log.
func TestStrangersAreNotSeen(t *testing.T) {
	named := func(name string) func(*Config) { return func(c *Config) { c.Cluster = name } }
	for name, tc := range map[string]struct {
		here, there func(*Config)
		want        Refusal
		counted     func(*Counts) int64
	}{
		"another key":      {keyed(1), keyed(2), Refusal{Why: otherKey, Sure: true}, func(c *Counts) int64 { return c.OtherKey.Load() }},
		"a key too many":   {keyed(), keyed(2), Refusal{Why: noKeyThat, Sure: true}, func(c *Counts) int64 { return c.OtherKey.Load() }},
		"a key too few":    {keyed(1), keyed(), Refusal{Why: noKeyHere, Sure: true}, func(c *Counts) int64 { return c.OtherKey.Load() }},
		"another name":     {named("one"), named("two"), Refusal{Why: hangsUp}, func(c *Counts) int64 { return c.OtherCluster.Load() }},
		"a name that ends": {named("one"), named("on"), Refusal{Why: hangsUp}, func(c *Counts) int64 { return c.OtherCluster.Load() }},
	} {
		t.Run(name, func(t *testing.T) {
			a := member(t, "a", nil, tc.here)
			b := member(t, "b", []string{a.Address()}, tc.here)
			until(t, "both", sees(a, "a", "b"))
			told := a.told()
			x := member(t, "x", []string{a.Address()}, tc.there)
			tc.want.Address = a.Address()
			until(t, "the stranger knows why", func() bool {
				r := x.Refused()
				return len(r) == 1 && r[0] == tc.want
			})
			if !strings.Contains(x.log.String(), fmt.Sprintf("seed=%s why=%q", a.Address(), tc.want.Why)) {
				t.Errorf("it says nothing: %s", x.log)
			}
			until(t, "it is counted", func() bool { return tc.counted(a.Counts()) >= 3 })
			if n := strings.Count(a.log.String(), "a stranger is not listened to"); n != 1 {
				t.Errorf("told of %d times, want once a minute: %s", n, a.log)
			}
			// Who comes now is seen, so the stranger would have been.
			c := member(t, "c", []string{a.Address()}, tc.here)
			until(t, "one more", sees(b, "a", "b", "c"))
			until(t, "all of it", sees(c, "a", "b", "c"))
			if n := a.told() - told; n != 1 || len(x.ids()) != 1 {
				t.Errorf("a was told %d times, want once; the stranger sees %v", n, x.ids())
			}
		})
	}
}

// TestAKeyIsChanged: added behind, then in front, then alone; at each step everybody sees everybody.
func TestAKeyIsChanged(t *testing.T) {
	for _, pair := range [][2][]byte{{{1}, {1, 2}}, {{1, 2}, {2, 1}}, {{2, 1}, {2}}} {
		a := member(t, "a", nil, keyed(pair[0]...))
		b := member(t, "b", []string{a.Address()}, keyed(pair[1]...))
		until(t, "both", sees(a, "a", "b"))
		until(t, "both", sees(b, "a", "b"))
	}
}

// TestWrongSettings are refused with a sentence, and leave nothing behind (goleak).
func TestWrongSettings(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for name, tc := range map[string]struct {
		spoil func(*Config)
		want  string
	}{
		"a name to listen on": {func(c *Config) { c.Self.Gossip = "localhost:0" }, "want an IP address"},
		"no port":             {func(c *Config) { c.Self.Gossip = "127.0.0.1" }, "missing port"},
		"a short key":         {func(c *Config) { c.Keys = [][]byte{{1, 2, 3}} }, "gossip key"},
		"addresses too long":  {func(c *Config) { c.Self.Public = strings.Repeat("x", 600) }, "use shorter host names"},
		"a TCP port taken":    {func(c *Config) { c.Self.Gossip = tcp.Addr().String() }, "another process uses this port"},
		"a UDP port taken":    {func(c *Config) { c.Self.Gossip = udp.LocalAddr().String() }, "another process uses this port"},
	} {
		cfg := quick()
		cfg.Self = Member{ID: "a", Address: "a:1", Gossip: "127.0.0.1:0"}
		tc.spoil(&cfg)
		if _, err := Start(t.Context(), cfg, func([]Member) {}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", name, err, tc.want)
		}
	}
}

// TestStreamsAreBounded: more than so many at once push the oldest out, a long one is not read to its end, and members find
// each other when the crowd is gone.
func TestStreamsAreBounded(t *testing.T) {
	a := member(t, "a", nil, keyed(1))
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			c.Close()
		}
	}()
	for range maxStreams + 40 {
		c, err := net.Dial("tcp", a.Address())
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	until(t, "40 are pushed out", func() bool { return a.Counts().Full.Load() >= 40 })
	for _, c := range crowd {
		c.Close()
	}
	crowd = nil
	long := sync.OnceValue(func() int64 {
		c, err := net.Dial("tcp", a.Address())
		if err != nil {
			return -1
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		// A stream of this cluster that says of itself that it is as long as memberlist would read.
		head := append([]byte{244, byte(len("paceline"))}, "paceline"...)
		head = append(head, 10, 1, 63, 255, 255)
		sent, _ := c.Write(head)
		n, err := io.Copy(c, io.LimitReader(rand.Reader, 20<<20))
		if err == nil {
			return -1
		}
		return int64(sent) + n
	})
	// What the kernel has taken beside what was read: two buffers of some MB on loopback.
	if n := long(); n < 0 || n > 16<<20 {
		t.Errorf("%d bytes of a long stream were taken, want it to be cut off", n)
	}
	b := member(t, "b", []string{a.Address()}, keyed(1))
	until(t, "both", sees(a, "a", "b"))
	until(t, "both", sees(b, "a", "b"))
}

// TestAStreamIsReadSoFar is the bound itself.
func TestAStreamIsReadSoFar(t *testing.T) {
	near, far := net.Pipe()
	go func() { _, _ = io.Copy(near, rand.Reader) }()
	left := 0
	s := &stream{Conn: far, left: maxStreamBytes, leave: func() { left++ }}
	n, err := io.Copy(io.Discard, s)
	if n != maxStreamBytes || !errors.Is(err, errTooLong) {
		t.Errorf("read %d bytes, %v; want %d", n, err, maxStreamBytes)
	}
	s.Close()
	near.Close()
	if left != 1 {
		t.Errorf("left %d times", left)
	}
}

// tape keeps the packets that one member sends.
type tape struct {
	memberlist.NodeAwareTransport
	mu      sync.Mutex
	packets [][]byte
}

func (p *tape) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	p.mu.Lock()
	p.packets = append(p.packets, bytes.Clone(b))
	p.mu.Unlock()
	return p.NodeAwareTransport.WriteToAddress(b, to)
}

func (p *tape) said() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.packets)
}

// TestAReplayOfPackets: all that a member has ever said, said again by somebody else while it is there and when it has
// left: nobody is seen who is not there, and nobody missed who is.
func TestAReplayOfPackets(t *testing.T) {
	recorded := &tape{}
	a := member(t, "a", nil, keyed(1))
	b := member(t, "b", []string{a.Address()}, keyed(1), func(c *Config) {
		c.wrap = func(inner memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
			recorded.NodeAwareTransport = inner
			return recorded
		}
	})
	c := member(t, "c", []string{a.Address()}, keyed(1))
	for _, w := range []*watched{a, b, c} {
		until(t, "all three", sees(w, "a", "b", "c"))
	}
	until(t, "enough is said", func() bool { return len(recorded.said()) >= 20 })
	again := func() {
		for range 20 {
			for _, packet := range recorded.said() {
				for _, w := range []*watched{a, c} {
					conn, err := net.Dial("udp", w.Address())
					if err != nil {
						t.Fatal(err)
					}
					_, _ = conn.Write(packet)
					conn.Close()
				}
			}
		}
	}
	told := a.told()
	again()
	b.leave(t)
	until(t, "b has left", sees(a, "a", "c"))
	until(t, "b has left", sees(c, "a", "c"))
	again()
	d := member(t, "d", []string{a.Address()}, keyed(1))
	until(t, "one more", sees(a, "a", "c", "d"))
	until(t, "the same view", sees(d, "a", "c", "d"))
	if n := a.told() - told; n != 2 {
		t.Errorf("told %d times, want twice: of who left and of who came", n)
	}
}
