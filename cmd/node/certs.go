package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paceline/cluster/port"
)

// certsCmd makes what nodes need to trust each other, for development and trials.
type certsCmd struct {
	Dir   string        `help:"Folder to write into; an authority that is there is used again." default:"certs"`
	Nodes []string      `arg:"" optional:"" help:"Names, one certificate each." default:"node"`
	Valid time.Duration `help:"How long they are good." default:"8760h"`
}

// Run writes ca.pem, ca.key, NAME.pem, NAME.key and gossip.key.
func (c certsCmd) Run(p process) error {
	if err := port.Develop(c.Dir, c.Nodes, time.Now(), c.Valid); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%w: nothing is overwritten, delete it first", err)
		}
		return err
	}
	key := filepath.Join(c.Dir, "gossip.key")
	if err := gossipKey(key); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s holds an authority and certificates for %s, for development: keep %s to yourself, and use an authority of your own in earnest\n",
		c.Dir, strings.Join(c.Nodes, ", "), filepath.Join(c.Dir, "ca.key"))
	fmt.Fprintf(p.out, "a node takes --node-cert=%[1]s/%[2]s.pem --node-key=%[1]s/%[2]s.key --node-ca=%[1]s/ca.pem --gossip-key-file=%[3]s\n", c.Dir, c.Nodes[0], key)
	return nil
}

// gossipKey makes a key if there is none.
func gossipKey(file string) error {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, base64.StdEncoding.EncodeToString(key[:]))
	return errors.Join(err, f.Close())
}
