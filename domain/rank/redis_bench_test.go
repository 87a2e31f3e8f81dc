package rank_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"paceline/internal/testkit"
)

// pipelined is how many pairs go to Redis in one write.
const pipelined = 16

// redis speaks the few words of Redis's protocol that the baseline needs.
type redis struct {
	b    *testing.B
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

// dialRedis is a Redis of its own that scripts/bench.sh has started: its socket is in PACELINE_BENCH_REDIS.
func dialRedis(b *testing.B) *redis {
	b.Helper()
	socket := os.Getenv("PACELINE_BENCH_REDIS")
	if socket == "" {
		b.Skip("PACELINE_BENCH_REDIS names no socket: scripts/bench.sh starts a Redis and names it")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &redis{b: b, conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
}

func (r *redis) add(words ...string) {
	r.out = append(strconv.AppendInt(append(r.out, '*'), int64(len(words)), 10), "\r\n"...)
	for _, w := range words {
		r.out = append(strconv.AppendInt(append(r.out, '$'), int64(len(w)), 10), "\r\n"...)
		r.out = append(append(r.out, w...), "\r\n"...)
	}
}

func (r *redis) send() {
	if _, err := r.conn.Write(r.out); err != nil {
		r.b.Fatal(err)
	}
	r.out = r.out[:0]
}

// answer reads one answer, which has to be a number.
func (r *redis) answer() int64 {
	line, err := r.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		r.b.Fatal(err)
	}
	if len(line) < 4 || line[0] != ':' {
		r.b.Fatalf("Redis says %q", line)
	}
	n, err := strconv.ParseInt(string(line[1:len(line)-2]), 10, 64)
	if err != nil {
		r.b.Fatal(err)
	}
	return n
}

// BenchmarkUpdateRankRedis is the baseline of BenchmarkUpdateRank/any: ZADD and ZREVRANK of the same pairs in a
// sorted set of the same size, 16 pairs in one write, over a Unix socket.
func BenchmarkUpdateRankRedis(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("any/%d", n), func(b *testing.B) {
			r := dialRedis(b)
			rnd := rand.New(rand.NewPCG(1, 2))
			board := fmt.Sprint("board-", n)
			r.fill(board, n, rnd)
			b.ResetTimer()
			own, its := testkit.Spent(), r.spent()
			for pairs := 0; pairs < b.N; pairs += pipelined {
				now := min(pipelined, b.N-pairs)
				for range now {
					e := strconv.Itoa(int(rnd.Uint32N(uint32(n))))
					r.add("ZADD", board, strconv.FormatUint(rnd.Uint64()>>12, 10), e)
					r.add("ZREVRANK", board, e)
				}
				r.send()
				for range now {
					if added := r.answer(); added != 0 {
						b.Fatalf("ZADD added %d", added)
					}
					if rank := r.answer(); rank < 0 || rank >= int64(n) {
						b.Fatalf("rank %d of %d", rank, n)
					}
				}
			}
			// Both ends of the socket: a program that ranks in Redis pays for both.
			spent := float64((testkit.Spent() - own + r.spent() - its).Nanoseconds())
			b.ReportMetric(spent/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64((r.spent()-its).Nanoseconds())/float64(b.N), "server-cpu-ns/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
		})
	}
}

// spent is the processor time of the Redis.
func (r *redis) spent() time.Duration {
	r.b.Helper()
	r.add("INFO", "cpu")
	r.send()
	head, err := r.in.ReadString('\n')
	if err != nil || head[0] != '$' {
		r.b.Fatalf("Redis says %q, %v", head, err)
	}
	length, err := strconv.Atoi(strings.TrimSpace(head[1:]))
	if err != nil {
		r.b.Fatal(err)
	}
	info := make([]byte, length+2)
	if _, err := io.ReadFull(r.in, info); err != nil {
		r.b.Fatal(err)
	}
	total := 0.0
	for _, line := range strings.Split(string(info), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				r.b.Fatal(err)
			}
			total += seconds
		}
	}
	return time.Duration(total * float64(time.Second))
}

// fill makes the sorted set if an earlier run has not.
func (r *redis) fill(board string, n int, rnd *rand.Rand) {
	r.b.Helper()
	r.add("ZCARD", board)
	r.send()
	if r.answer() == int64(n) {
		return
	}
	for e := 0; e < n; {
		from := e
		for ; e < n && e < from+1000; e++ {
			r.add("ZADD", board, strconv.FormatUint(rnd.Uint64()>>12, 10), strconv.Itoa(e))
		}
		r.send()
		for range e - from {
			r.answer()
		}
	}
}
