package ws_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowdPlan is what the crowd's process is told.
type crowdPlan struct {
	Address string
	Viewers int
	First   [][]byte // messages that each viewer sends
}

const crowdEnv = "PACELINE_BENCH_CROWD"

// crowd is a process of its own full of viewers that only count bytes, so that what the benchmark's own process
// spends is the server's.
type crowd struct {
	command *exec.Cmd
	ask     io.WriteCloser
	answers *bufio.Reader
}

func newCrowd(b *testing.B, address string, viewers int, first ...[]byte) *crowd {
	b.Helper()
	plan, err := json.Marshal(crowdPlan{address, viewers, first})
	if err != nil {
		b.Fatal(err)
	}
	c := &crowd{command: exec.Command(os.Args[0], "-test.run=^TestCrowd$", "-test.v=false")}
	c.command.Env = append(os.Environ(), crowdEnv+"="+string(plan))
	c.command.Stderr = os.Stderr
	out, err := c.command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if c.ask, err = c.command.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		b.Fatal(err)
	}
	c.answers = bufio.NewReader(out)
	c.hear(b, "joined")
	return c
}

func (c *crowd) hear(b *testing.B, want string) {
	b.Helper()
	line, err := c.answers.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		b.Fatalf("the crowd says %q, want %q (%v)", line, want, err)
	}
}

// wait waits until the crowd has read so many bytes in all; it is an error if more come or fewer.
func (c *crowd) wait(b *testing.B, bytes int64) {
	b.Helper()
	if _, err := fmt.Fprintln(c.ask, bytes); err != nil {
		b.Fatal(err)
	}
	c.hear(b, fmt.Sprint("read ", bytes))
}

func (c *crowd) leave(b *testing.B) {
	b.Helper()
	_ = c.ask.Close()
	if err := c.command.Wait(); err != nil {
		b.Error(err)
	}
}

// TestCrowd is where the crowd's process begins; in any other process it has nothing to do.
func TestCrowd(t *testing.T) {
	plan := crowdPlan{}
	if json.Unmarshal([]byte(os.Getenv(crowdEnv)), &plan) != nil {
		return
	}
	var bytes atomic.Int64
	var conns []net.Conn
	var wg sync.WaitGroup
	for range plan.Viewers {
		conn, err := upgrade(plan)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		wg.Go(func() {
			buffer := make([]byte, 4096)
			for {
				n, err := conn.Read(buffer)
				bytes.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
	}
	fmt.Println("joined")
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		var want int64
		if _, err := fmt.Sscan(asked.Text(), &want); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); bytes.Load() < want && time.Now().Before(deadline); {
			<-time.After(100 * time.Microsecond)
		}
		fmt.Println("read", bytes.Load())
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	wg.Wait()
}

// upgrade is a WebSocket without a library.
func upgrade(plan crowdPlan) (net.Conn, error) {
	conn, err := net.Dial("tcp", plan.Address)
	if err != nil {
		return nil, err
	}
	request := "GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: paceline.v1.proto\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	for last := ""; last != "\r\n\r\n"; { // byte by byte: what follows is counted
		one := make([]byte, 1)
		if _, err := conn.Read(one); err != nil {
			return nil, err
		}
		if last += string(one); len(last) > 4 {
			last = last[1:]
		}
	}
	for _, f := range plan.First {
		if len(f) > 125 {
			return nil, fmt.Errorf("a message of %d bytes is too long for this client", len(f))
		}
		masked := append([]byte{0x82, 0x80 | byte(len(f)), 0, 0, 0, 0}, f...) // masked with zeros
		if _, err := conn.Write(masked); err != nil {
			return nil, err
		}
	}
	return conn, nil
}
