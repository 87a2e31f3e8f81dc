package auth

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"paceline/domain/fault"
)

// Key is one signing key. A node that only verifies needs no private part.
type Key struct {
	ID          string             `json:"kid"`
	Development bool               `json:"development,omitempty"` // refused off loopback
	Public      ed25519.PublicKey  `json:"public"`
	Private     ed25519.PrivateKey `json:"private,omitempty"`
}

// Keys are those that a node accepts. The first one with a private part signs.
type Keys struct {
	Issuer string `json:"issuer"`
	Keys   []Key  `json:"keys"`
}

// DefaultIssuer is the issuer of a lone node.
const DefaultIssuer = "paceline"

// Faults of keys.
var (
	ErrDevelopmentKey = fault.New(fault.Denied, "auth.development_key", "A development key is accepted on loopback only.")
	ErrKeyFile        = fault.New(fault.Invalid, "auth.key_file", "The key file cannot be used.")
)

// NewKeys makes one fresh key.
func NewKeys(kid string, development bool, random io.Reader) (*Keys, error) {
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("make key %s: %w", kid, err)
	}
	return &Keys{Issuer: DefaultIssuer, Keys: []Key{{ID: kid, Development: development, Public: public, Private: private}}}, nil
}

// LoadKeys reads a key file.
func LoadKeys(path string) (*Keys, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k := &Keys{}
	if err := json.Unmarshal(b, k); err != nil {
		return nil, ErrKeyFile.With("not JSON")
	}
	return k, k.check()
}

func (k *Keys) check() error {
	if k.Issuer == "" || len(k.Keys) == 0 {
		return ErrKeyFile.With("no issuer or no key")
	}
	seen := map[string]bool{}
	for _, key := range k.Keys {
		switch {
		case key.ID == "" || seen[key.ID]:
			return ErrKeyFile.With("kid %q empty or twice", key.ID)
		case len(key.Public) != ed25519.PublicKeySize:
			return ErrKeyFile.With("kid %q: public key of %d bytes", key.ID, len(key.Public))
		case len(key.Private) != 0 && len(key.Private) != ed25519.PrivateKeySize:
			return ErrKeyFile.With("kid %q: private key of %d bytes", key.ID, len(key.Private))
		}
		seen[key.ID] = true
	}
	return nil
}

// OpenKeys reads the key file, or makes it with one fresh development key if there is none (mode 0600).
func OpenKeys(path string, random io.Reader) (*Keys, error) {
	k, err := LoadKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if k, err = NewKeys("development", true, random); err != nil {
		return nil, err
	}
	return k, k.Save(path)
}

// Save writes the key file, readable by its owner only. It never replaces one.
func (k *Keys) Save(path string) error {
	b, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	if _, err := f.Write(append(b, '\n')); err != nil {
		return errors.Join(fmt.Errorf("write keys: %w", err), f.Close())
	}
	return f.Close()
}

// AllowOn refuses to serve on an address that is not loopback if there is a development key among the keys. A
// node calls it before it listens.
func (k *Keys) AllowOn(listen string) error {
	if Loopback(listen) {
		return nil
	}
	for _, key := range k.Keys {
		if key.Development {
			return ErrDevelopmentKey.With("kid %q on %s", key.ID, listen)
		}
	}
	return nil
}

// Loopback reports whether a listen address can be reached from this machine only.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		host = listen
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (k *Keys) find(kid string) (Key, bool) {
	for _, key := range k.Keys {
		if key.ID == kid {
			return key, true
		}
	}
	return Key{}, false
}

func (k *Keys) signer() (Key, bool) {
	for _, key := range k.Keys {
		if len(key.Private) == ed25519.PrivateKeySize {
			return key, true
		}
	}
	return Key{}, false
}
