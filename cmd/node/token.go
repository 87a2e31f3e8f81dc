package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"paceline/gateway/auth"
)

type tokenCmd struct {
	settings
	Subject      string        `arg:"" help:"Whom the token speaks for: athlete:<id>, device:<affinity>/<id> or operator:<id>."`
	Life         time.Duration `help:"How long it is good for." default:"24h"`
	Organization string        `help:"The organization of an operator." default:""`
}

// Run makes an EdDSA JWT with the node's signing key.
func (t tokenCmd) Run(p process) error {
	if err := t.validate(); err != nil {
		return err
	}
	who, err := auth.ParsePrincipal(t.Subject)
	if err != nil {
		return fmt.Errorf("subject %q: want athlete:<id>, device:<affinity>/<id> or operator:<id>", t.Subject)
	}
	if t.Life <= 0 || t.Life > auth.MaxTokenLife {
		return fmt.Errorf("--life %v: want more than 0 and at most %v", t.Life, auth.MaxTokenLife)
	}
	_, missing := os.Stat(t.tokenKeysFile())
	keys, err := t.openTokenKeys()
	if err != nil {
		return err
	}
	if missing != nil { // perhaps a typing error: no node that runs knows this key
		fmt.Fprintf(p.err, "paceline: made the development key %s; the token is good at nodes that start with it\n", t.tokenKeysFile())
	}
	if t.Organization != "" {
		who.Organization = t.Organization
	}
	token, err := keys.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: t.Life})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, token)
	return err
}

// openTokenKeys reads the node's token keys; at the first use a development key is made.
func (s settings) openTokenKeys() (*auth.Keys, error) {
	keys, err := s.tokenKeys()
	if err != nil {
		return nil, err
	}
	return s.keepTokenKeys(keys)
}

// tokenKeys are those of the key file, or fresh ones that are not kept yet.
func (s settings) tokenKeys() (*auth.Keys, error) {
	keys, err := auth.LoadKeys(s.tokenKeysFile())
	if errors.Is(err, os.ErrNotExist) {
		return auth.NewKeys("development", true, rand.Reader)
	}
	return keys, err
}

// keepTokenKeys stores fresh keys. Those of the file hold, if there is one.
func (s settings) keepTokenKeys(fresh *auth.Keys) (*auth.Keys, error) {
	if err := os.MkdirAll(s.keysDir(), 0o700); err != nil {
		return nil, fmt.Errorf("keys folder: %w", err)
	}
	keys, err := auth.LoadKeys(s.tokenKeysFile())
	if !errors.Is(err, os.ErrNotExist) {
		return keys, err
	}
	if err = fresh.Save(s.tokenKeysFile()); errors.Is(err, os.ErrExist) { // another process has made it meanwhile
		return auth.LoadKeys(s.tokenKeysFile())
	}
	return fresh, err
}
