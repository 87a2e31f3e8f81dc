package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"paceline/actors/machine"
	"paceline/cluster/level"
	"paceline/domain/unit"
	"paceline/internal/obs"
	"paceline/persistence"
	"paceline/persistence/embedded"
)

// settings is everything that can be set, by file, environment (PACELINE_…) or flag; later ones win. The packages'
// own Configs are made from it; nothing else reads the environment.
type settings struct {
	before func(persistence.Rows) persistence.Rows // stands in front of the store's rows; for tests

	DataDir string `help:"Folder of the embedded store; made if absent, one process at a time." default:"paceline-data" env:"PACELINE_DATA_DIR"`
	KeysDir string `help:"Folder of the keys (wrapping.key, tokens.json); must lie outside of the data folder. Default: the data folder's name with .keys." default:"" env:"PACELINE_KEYS_DIR"`
	Store   string `help:"Where everything is kept: embedded, cql (ScyllaDB or Cassandra, see the cql-… settings), or memory (gone with the process)." default:"embedded" enum:"embedded,cql,memory" env:"PACELINE_STORE"`
	Listen  string `help:"Address of the HTTP server: live protocol, management API, page." default:"127.0.0.1:8080" env:"PACELINE_LISTEN"`
	AnyPort bool   `help:"If another process has the port of --listen, take a free one; the first line on standard output says which." default:"false" env:"PACELINE_ANY_PORT"`

	ClockOrigin string  `help:"First start only: the instant (RFC 3339) at which the node's clock begins. Default: now." default:"" env:"PACELINE_CLOCK_ORIGIN"`
	ClockRate   float64 `help:"First start only: how fast the node's clock runs. 0: 1, as the wall clock." default:"0" env:"PACELINE_CLOCK_RATE"`

	LogLevel  string `help:"debug, info, warn or error." default:"info" env:"PACELINE_LOG_LEVEL"`
	LogFormat string `help:"text or json." default:"text" env:"PACELINE_LOG_FORMAT"`

	StoreCacheMB    int64 `help:"Memory for blocks that were read. More makes recovery and old results faster." default:"64" env:"PACELINE_STORE_CACHE_MB"`
	StoreMemtableMB int   `help:"What is collected in memory before it is written out sorted (up to four times this is held)." default:"16" env:"PACELINE_STORE_MEMTABLE_MB"`
	StoreCheckMB    int64 `help:"At the start the embedded store's tables are read whole, up to so many MB, so that damage is found before it is served. 0: only its logs and its list of files." default:"256" env:"PACELINE_STORE_CHECK_MB"`
	DropSnapshots   bool  `help:"At the start all snapshots are deleted: a first start costs more time, and those of a newer release are then no reason to refuse the folder." default:"false" env:"PACELINE_DROP_SNAPSHOTS"`
	StoreReserveMB  int64 `help:"Of the embedded store's disk, kept free: beneath it writes are refused until there is room again. More protects better against others that fill the disk." default:"256" env:"PACELINE_STORE_RESERVE_MB"`
	StoreWorkers    int   `help:"Store operations at once. More helps group commit, up to what the disk likes." default:"64" env:"PACELINE_STORE_WORKERS"`
	StoreWaiting    int   `help:"Store operations waiting beyond those; then grains see a store that is away." default:"1024" env:"PACELINE_STORE_WAITING"`
	StoreHeldMB     int   `help:"Memory for what store operations carry, waiting and under way: so much in live ones, as much in those about old data, as much in very large ones; then grains see a store that is away." default:"32" env:"PACELINE_STORE_HELD_MB"`
	ViewCacheMB     int64 `help:"Memory for lists, rosters and results that were read; what is a person's is never in it. 0: none." default:"32" env:"PACELINE_VIEW_CACHE_MB"`

	cqlSettings

	clusterSettings

	UnackedMB int64 `help:"Telemetry frames on their way to what is durable, all connections together; beyond it clients are throttled." default:"64" env:"PACELINE_UNACKED_MB"`

	GrainIdle     time.Duration `help:"A grain that nobody has used for so long is asked to leave the memory." default:"5m" env:"PACELINE_GRAIN_IDLE"`
	DrainWithin   time.Duration `help:"At the end: how long grains may take to answer and flush what they hold." default:"10s" env:"PACELINE_DRAIN_WITHIN"`
	GoodbyeWithin time.Duration `help:"At the end: how long clients may take to hear it." default:"3s" env:"PACELINE_GOODBYE_WITHIN"`
	GoodbyeDelay  time.Duration `help:"At the end: clients are told to come back after a random time up to this." default:"2s" env:"PACELINE_GOODBYE_DELAY"`
}

// keysDir is where the keys lie.
func (s settings) keysDir() string {
	if s.KeysDir != "" {
		return s.KeysDir
	}
	return filepath.Clean(s.DataDir) + ".keys"
}

func (s settings) wrappingKeyFile() string { return filepath.Join(s.keysDir(), "wrapping.key") }
func (s settings) tokenKeysFile() string   { return filepath.Join(s.keysDir(), "tokens.json") }

// validate finds what cannot work, before anything is started.
func (s settings) validate() error {
	switch {
	case s.StoreCacheMB < 1 || s.StoreMemtableMB < 1:
		return errors.New("--store-cache-mb and --store-memtable-mb must be at least 1")
	case s.StoreCheckMB < 0:
		return errors.New("--store-check-mb must not be negative")
	case s.StoreReserveMB < 0:
		return errors.New("--store-reserve-mb must not be negative")
	case s.UnackedMB < 1:
		return errors.New("--unacked-mb must be at least 1")
	case s.StoreWorkers < 1 || s.StoreWaiting < 1 || s.StoreHeldMB < 1:
		return errors.New("--store-workers, --store-waiting and --store-held-mb must be at least 1")
	case s.ViewCacheMB < 0:
		return errors.New("--view-cache-mb must not be negative")
	case s.GrainIdle < time.Second:
		return errors.New("--grain-idle must be at least 1s: grains would only come and go")
	case s.DrainWithin < 0 || s.GoodbyeWithin < 0 || s.GoodbyeDelay < 0:
		return errors.New("--drain-within, --goodbye-within and --goodbye-delay must not be negative")
	case s.ClockRate < 0:
		return errors.New("--clock-rate: want 0.001 to 1000")
	}
	if err := s.validateCluster(); err != nil {
		return err
	}
	if _, err := s.clock(); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(s.Listen); err != nil || !isPort(port) {
		return fmt.Errorf("--listen %q: want host:port, as 127.0.0.1:8080", s.Listen)
	}
	if _, err := obs.NewLog(io.Discard, s.LogFormat, s.LogLevel); err != nil {
		return err
	}
	if s.Store == storeCQL {
		if err := s.cqlSettings.validate(); err != nil {
			return err
		}
	}
	if within(s.DataDir, s.keysDir()) {
		return fmt.Errorf("the keys (%s) must not lie in the data folder (%s): a copy of the data would carry them", s.keysDir(), s.DataDir)
	}
	return nil
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func within(folder, path string) bool {
	f, err1 := filepath.Abs(folder)
	p, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(f, p)
	return err == nil && (rel == "." || rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)))
}

func (s settings) clock() (clockWish, error) {
	var w clockWish
	if s.ClockOrigin != "" {
		t, err := time.Parse(time.RFC3339Nano, s.ClockOrigin)
		if err != nil {
			return w, fmt.Errorf("--clock-origin %q: want an instant like 2024-06-15T14:40:00Z", s.ClockOrigin)
		}
		at := unit.InstantMs(t.UnixMilli())
		w.Origin = &at
	}
	if s.ClockRate != 0 {
		rate := s.ClockRate
		w.Rate = &rate
		if err := (clock{Rate: rate}).check(); err != nil {
			return w, fmt.Errorf("--clock-rate: %w", err)
		}
	}
	return w, nil
}

func (s settings) embedded() embedded.Config {
	c := embedded.Default()
	c.Folder, c.CacheBytes, c.MemTableBytes = s.DataDir, s.StoreCacheMB<<20, uint64(s.StoreMemtableMB)<<20
	c.ReserveBytes = uint64(s.StoreReserveMB) << 20
	c.CheckBytes, c.DropCaches, c.Formats = s.StoreCheckMB<<20, s.DropSnapshots, formats()
	c.Raised = map[string]int{levelFormat: int(level.This.Reads)}
	return c
}

func (s settings) lanes() machine.LanesConfig {
	c := machine.DefaultLanes()
	c.Workers, c.Waiting, c.HeldBytes = s.StoreWorkers, s.StoreWaiting, s.StoreHeldMB<<20
	return c
}

// fileResolver reads a configuration file: one JSON object, its keys the flags' names.
type fileResolver struct {
	path   string
	values map[string]any
}

func loadFile(r io.Reader, path string) (*fileResolver, error) {
	f := &fileResolver{path: path}
	d := json.NewDecoder(r)
	d.UseNumber()
	if err := d.Decode(&f.values); err != nil {
		return nil, fmt.Errorf("configuration %s: not a JSON object: %w", path, err)
	}
	return f, nil
}

// loadConfig is kong's loader.
func loadConfig(r io.Reader) (kong.Resolver, error) {
	path := "file"
	if f, ok := r.(*os.File); ok {
		path = f.Name()
	}
	return loadFile(r, path)
}

func openFile(path string) (*fileResolver, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer r.Close()
	return loadFile(r, path)
}

// Validate implements kong.Resolver: a key that nobody knows is a spelling mistake.
func (f *fileResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		for _, flag := range n.Flags {
			known[flag.Name] = true
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	visit(app.Node)
	var unknown []string
	for k := range f.values {
		if !known[k] || k == "config" {
			unknown = append(unknown, k)
		}
	}
	sort.Strings(unknown)
	if len(unknown) > 0 {
		return fmt.Errorf("configuration %s: unknown setting %s", f.path, strings.Join(unknown, ", "))
	}
	return nil
}

// Resolve implements kong.Resolver.
func (f *fileResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	v, ok := f.values[flag.Name]
	if !ok {
		return nil, nil
	}
	// The environment wins over the file; kong would have it the other way round.
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil
		}
	}
	switch v := v.(type) {
	case json.Number:
		return v.String(), nil
	case string:
		return v, nil
	case bool:
		return v, nil
	}
	return nil, fmt.Errorf("configuration %s: %s: want a string, a number or a truth value", f.path, flag.Name)
}
