package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"paceline/actors/competition/competitiongrain"
	"paceline/cluster"
	"paceline/cluster/gossip"
	"paceline/cluster/port"
	"paceline/domain/unit"
	"paceline/gateway/auth"
)

// clusterSettings make a node one of many. Without --gossip-listen it is a cluster of its own.
type clusterSettings struct {
	ClusterName   string `help:"Name of the cluster: nodes of another one are strangers." default:"paceline" env:"PACELINE_CLUSTER_NAME"`
	ClusterListen string `help:"Address of the nodes' own traffic, as IP:port; port 0: a free one." default:"127.0.0.1:0" env:"PACELINE_CLUSTER_LISTEN"`
	GossipListen  string `help:"Address at which nodes find each other (UDP and TCP), as IP:port; port 0: a free one. Empty: this node is the only one." default:"" env:"PACELINE_GOSSIP_LISTEN"`
	Seeds         string `help:"Gossip addresses of nodes to begin with, as host:port with commas between; of a DNS name every address is tried. Nodes also find each other by their rows in the store." default:"" env:"PACELINE_SEEDS"`
	PublicURL     string `help:"Where clients reach this node; clients of a node that leaves are sent there. Default: http:// and the address of --listen." default:"" env:"PACELINE_PUBLIC_URL"`

	GossipKeyFile string `help:"File with the gossip's keys in base64 (16, 24 or 32 bytes), one a line; the first encrypts, all decrypt. Needed off loopback." default:"" env:"PACELINE_GOSSIP_KEY_FILE"`
	NodeCert      string `help:"This node's certificate (PEM), for the nodes' own traffic: mutual TLS 1.3. Needed off loopback, see paceline certs." default:"" env:"PACELINE_NODE_CERT"`
	NodeKey       string `help:"That certificate's private key (PEM)." default:"" env:"PACELINE_NODE_KEY"`
	NodeCA        string `help:"Certificates (PEM) of the authority whose certificates are nodes'." default:"" env:"PACELINE_NODE_CA"`

	FirstLevel int `help:"First start only: the feature level with which the store begins. 0: the newest that this release writes. Less lets nodes of the release before in (paceline cluster raise raises it later)." default:"0" env:"PACELINE_FIRST_LEVEL"`

	SettleDelay time.Duration `help:"How long after a race's end its result may become official at the earliest: longer than two nodes can both believe to own an athlete. Negative: 60 s, and nothing where only this process can write (embedded, memory)." default:"-1s" env:"PACELINE_SETTLE_DELAY"`
}

func (s settings) many() bool { return s.GossipListen != "" }

func (s settings) seeds() []string {
	return strings.FieldsFunc(s.Seeds, func(r rune) bool { return r == ',' || r == ' ' })
}

// validateCluster finds what cannot work, before anything is started.
func (s settings) validateCluster() error {
	if err := listenAddress("--cluster-listen", s.ClusterListen); err != nil {
		return err
	}
	if err := s.validateLevel(); err != nil {
		return err
	}
	if (s.NodeCert == "") != (s.NodeKey == "") || (s.NodeCert == "") != (s.NodeCA == "") {
		return errors.New("--node-cert, --node-key and --node-ca belong together")
	}
	if !s.many() {
		if s.Seeds != "" {
			return errors.New("--seeds without --gossip-listen: this node would not be found by those it finds")
		}
		if !auth.Loopback(s.ClusterListen) { // certificates make no difference: nobody is spoken to, so nothing is encrypted
			return fmt.Errorf("--cluster-listen %s is not on loopback, and without --gossip-listen this node is the only one: no other has to reach it, and whoever can would not be asked for a certificate", s.ClusterListen)
		}
		return nil
	}
	if s.Store != storeCQL {
		return fmt.Errorf("--gossip-listen with --store=%s: nodes need a store that they share, so --store=cql", s.Store)
	}
	if err := listenAddress("--gossip-listen", s.GossipListen); err != nil {
		return err
	}
	for _, seed := range s.seeds() {
		if host, p, err := net.SplitHostPort(seed); err != nil || host == "" || !isPort(p) || p == "0" {
			return fmt.Errorf("--seeds %q: want host:port, as node-0.paceline:7946", seed)
		}
	}
	if !auth.Loopback(s.ClusterListen) && s.NodeCert == "" {
		return fmt.Errorf("--cluster-listen %s is not on loopback: nodes talk there only with certificates (--node-cert, --node-key, --node-ca; paceline certs makes some for development)", s.ClusterListen)
	}
	if !auth.Loopback(s.GossipListen) && s.GossipKeyFile == "" {
		return fmt.Errorf("--gossip-listen %s is not on loopback: nodes gossip there only with a key (--gossip-key-file)", s.GossipListen)
	}
	if _, err := s.gossipKeys(); err != nil {
		return err
	}
	if s.NodeCert != "" {
		if _, err := port.Load(s.nodeFiles()); err != nil {
			return err
		}
	}
	return nil
}

func listenAddress(flag, value string) error {
	host, p, err := net.SplitHostPort(value)
	if err != nil || net.ParseIP(host) == nil || !isPort(p) {
		return fmt.Errorf("%s %q: want IP:port, as 127.0.0.1:7946", flag, value)
	}
	return nil
}

func (s settings) nodeFiles() port.Files {
	return port.Files{Cert: s.NodeCert, Key: s.NodeKey, CA: s.NodeCA}
}

func (s settings) gossipKeys() ([][]byte, error) {
	if s.GossipKeyFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.GossipKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--gossip-key-file: %w", err)
	}
	var keys [][]byte
	for _, line := range strings.Fields(string(text)) {
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
			return nil, fmt.Errorf("--gossip-key-file %s: want keys of 16, 24 or 32 bytes in base64, one a line", s.GossipKeyFile)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("--gossip-key-file %s holds no key", s.GossipKeyFile)
	}
	return keys, nil
}

// settleDelay: only where no other process can write no other activation can.
func (s settings) settleDelay() unit.DurationMs {
	switch {
	case s.SettleDelay >= 0:
		return unit.DurationMs(s.SettleDelay.Milliseconds())
	case s.Store == storeCQL:
		return competitiongrain.Default().SettleDelay
	}
	return 0
}

// cluster is this node as a member; what it needs of the node is added there.
func (s settings) cluster() (cluster.Config, error) {
	c := cluster.Default()
	c.Name = s.ClusterName
	c.Placement.IdleAfter = s.GrainIdle
	host, p, err := net.SplitHostPort(s.ClusterListen)
	if err != nil {
		return c, err
	}
	if c.Port, err = strconv.Atoi(p); err != nil {
		return c, err
	}
	c.Host = host
	if !s.many() {
		return c, nil
	}
	g := gossip.Default()
	g.Self.Gossip, g.Seeds = s.GossipListen, s.seeds()
	if g.Keys, err = s.gossipKeys(); err != nil {
		return c, err
	}
	c.Many = &cluster.Many{Gossip: g}
	if s.NodeCert != "" {
		if c.Many.Certificate, err = port.Load(s.nodeFiles()); err != nil {
			return c, err
		}
	}
	return c, nil
}
