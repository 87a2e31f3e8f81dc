package gossip

import (
	stdlog "log" //nolint:depguard // memberlist takes no other
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Counts are what a Gossip has heard of others than members. All of it is dropped.
type Counts struct {
	OtherKey     atomic.Int64 // packets and streams that its keys do not open, or that are not encrypted where there are keys
	OtherCluster atomic.Int64 // of another cluster's name, or of none: random bytes are such
	Unreadable   atomic.Int64 // anything else that makes no sense
	Full         atomic.Int64 // streams that were hung up on, because too many were open
}

// Counts of this Gossip.
func (g *Gossip) Counts() *Counts { return &g.counts }

// sayEvery is how often, at most, the log tells of strangers of one kind: they can come by the thousand.
const sayEvery = time.Minute

// lines passes memberlist's log on. Most of its warnings are about others, so for this node they are news of a debug
// level; what it says of strangers is counted. It has no other way of telling.
type lines struct {
	log    *slog.Logger
	counts *Counts

	mu   sync.Mutex
	said map[string]time.Time
}

func (l *lines) logger() *stdlog.Logger { return stdlog.New(l, "", 0) }

// Write implements io.Writer with one line of memberlist's.
func (l *lines) Write(b []byte) (int, error) {
	line := strings.TrimSpace(string(b))
	kind, counter := l.kind(line)
	if counter == nil {
		say := l.log.Debug
		if strings.Contains(line, "[ERR]") {
			say = l.log.Info
		}
		say("gossip: " + line)
		return len(b), nil
	}
	n := counter.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.said[kind].IsZero() || now.Sub(l.said[kind]) >= sayEvery {
		if l.said == nil {
			l.said = make(map[string]time.Time)
		}
		l.said[kind] = now
		l.log.Warn("gossip: a stranger is not listened to; more such are counted and told of once a minute", "what", kind, "from", from(line), "so_far", n)
	}
	return len(b), nil
}

// kind is what a line says of a stranger; nil: it is about something else.
func (l *lines) kind(line string) (string, *atomic.Int64) {
	switch {
	case !strings.Contains(line, " from="):
		return "", nil
	case strings.Contains(line, "unacceptable label"):
		return "another cluster's name, or no gossip at all", &l.counts.OtherCluster
	case strings.Contains(line, "no installed keys could decrypt"), strings.Contains(line, "remote state is not encrypted"), strings.Contains(line, "remote state is encrypted"):
		return "another gossip key", &l.counts.OtherKey
	case strings.Contains(line, "[ERR]"), strings.Contains(line, "[WARN]"):
		return "what cannot be read", &l.counts.Unreadable
	}
	return "", nil
}

// from is the address that ends a line of memberlist's.
func from(line string) string {
	return line[strings.LastIndex(line, "from=")+len("from="):]
}
