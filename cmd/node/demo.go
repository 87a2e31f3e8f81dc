package main

import (
	"paceline/simulations/swarm/demo"
)

// demoCmd is a whole race on a node of its own; everything happens in simulations/swarm/demo.
type demoCmd struct {
	Data  string  `help:"Folder of recordings to replay. Default: the project's own athletes." default:"" env:"PACELINE_DEMO_DATA" placeholder:"DIR"`
	Speed float64 `help:"Times real time. 0: the race takes about a minute." default:"0"`
	Once  bool    `help:"End when the result is verified, with 0 only if every check holds."`
	Kill  bool    `help:"SIGKILL the node in the middle of the race and start it again on the same folder; of several nodes the race's, and the others carry on."`
	Nodes int     `help:"Nodes of one cluster, with viewers and devices on all of them; more than one need --store=cql." default:"1"`
	Port  int     `help:"Port of the page on the loopback. 0: 8080, or a free one." default:"0"`
	Store string  `help:"Where the node keeps everything: embedded, or cql, on the servers that PACELINE_CQL_HOSTS names, in a keyspace of the run's own." default:"embedded" enum:"embedded,cql"`
	Seed  uint64  `help:"Seed of the project's own athletes." default:"1"`
	Dir   string  `help:"Where runs are kept." default:"data/demo"`
	Out   string  `help:"Where the results go. Default: the run's folder." default:"" placeholder:"DIR"`
}

// Run holds the race.
func (d demoCmd) Run(p process) error {
	return demo.Run(p.ctx, demo.Options{Data: d.Data, Speed: d.Speed, Once: d.Once, Kill: d.Kill, Nodes: d.Nodes, Port: d.Port, Seed: d.Seed, Store: d.Store,
		Dir: d.Dir, Out: d.Out, Stdout: p.out})
}
