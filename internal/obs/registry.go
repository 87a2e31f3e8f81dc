package obs

import (
	"bufio"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"sync"
)

// Registry is the counters and gauges of one process. Reading them calls their functions; nothing is kept.
type Registry struct {
	mu    sync.Mutex
	items map[string]item
}

type item struct {
	kind, help string
	read       func() float64
}

// Counter adds a number that only grows; its name ends in _total.
func (r *Registry) Counter(name, help string, read func() int64) {
	r.add(name, item{"counter", help, func() float64 { return float64(read()) }})
}

// Gauge adds a number that goes up and down.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.add(name, item{"gauge", help, read})
}

func (r *Registry) add(name string, i item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.items == nil {
		r.items = make(map[string]item)
	}
	r.items[name] = i
}

// ServeHTTP writes everything in Prometheus's text format.
func (r *Registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	names := make([]string, 0, len(r.items))
	items := make(map[string]item, len(r.items))
	for n, i := range r.items {
		names = append(names, n)
		items[n] = i
	}
	r.mu.Unlock()
	sort.Strings(names)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	b := bufio.NewWriter(w)
	for _, n := range names {
		i := items[n]
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", n, i.help, n, i.kind, n, strconv.FormatFloat(i.read(), 'g', -1, 64))
	}
	_ = b.Flush() // the scraper has gone
}
