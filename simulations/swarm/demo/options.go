package demo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Options of a run. Zero values mean the default.
type Options struct {
	Data   string    // folder of real recordings; empty: the project's own athletes
	Speed  float64   // times real time; 0: the race takes about a minute
	Once   bool      // end when the result is verified; else the node stays up
	Kill   bool      // SIGKILL the node in the middle of the race and start it again on the same folder; of several the race's, for good
	Nodes  int       // of one cluster; 0: 1, more need Store "cql"
	Port   int       // of the page; 0: 8080, or a free one if that is taken; more nodes take the next ones
	Seed   uint64    // of the project's own athletes; 0: 1
	Store  string    // of the node: "cql" (its servers and credentials are in the environment); empty: embedded
	Dir    string    // where runs are kept; empty: data/demo
	Out    string    // where the results go; empty: the run's folder
	Binary string    // the program to start; empty: this one
	Stdout io.Writer // progress and results; nil: os.Stdout
}

const maxNodes = 9

// Tuning. All of it is wall clock.
const (
	raceTakes  = 60 * time.Second // default length of a race
	lead       = 8 * time.Second  // from the node's start to the gun
	leadCQL    = 20 * time.Second // the same, where every command is a round of consensus between servers
	leadNode   = 6 * time.Second  // more for each further node
	patience   = 25 * time.Second // after the last finish until the cut-off
	backWithin = 30 * time.Second // after the race's node was killed, until every viewer has a board of another one
	downFor    = time.Second      // between the kill and the restart
	upWithin   = 30 * time.Second
	endWithin  = 15 * time.Second
	resultSlow = 90 * time.Second // from the cut-off to the official result
)

func (o Options) withDefaults() (Options, error) {
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Speed != 0 && !(o.Speed >= 0.1 && o.Speed <= 1000) { // so that "not a number" is refused too
		return o, fmt.Errorf("demo: speed %v: want 0.1 to 1000", o.Speed)
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	switch {
	case o.Nodes < 1 || o.Nodes > maxNodes:
		return o, fmt.Errorf("demo: %d nodes: want 1 to %d", o.Nodes, maxNodes)
	case o.Nodes > 1 && o.Store != storeCQL:
		return o, fmt.Errorf("demo: %d nodes need a store that they share: NODES=%d STORE=cql (--nodes=%d --store=cql)", o.Nodes, o.Nodes, o.Nodes)
	case o.Port < 0 || o.Port+o.Nodes-1 > 65535:
		return o, errors.New("demo: the port must be 0 to 65535, with room for one of each node")
	}
	if o.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("demo: find this program: %w", err)
		}
		o.Binary = self
	}
	if o.Dir == "" {
		o.Dir = filepath.Join("data", "demo")
	}
	return o, nil
}

// lead is from the node's start to the gun.
func (o Options) lead() time.Duration {
	if o.Store == storeCQL {
		return leadCQL + time.Duration(o.Nodes-1)*leadNode
	}
	return lead
}

// runFolder makes a new folder for this run.
func (o Options) runFolder() (string, error) {
	name := "own"
	if o.Data != "" {
		name = filepath.Base(filepath.Clean(o.Data))
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	folder, err := os.MkdirTemp(o.Dir, name+"-"+time.Now().Format("20060102-150405")+"-")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	return folder, nil
}
