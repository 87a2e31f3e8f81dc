// Package id names things: grains, and the UUIDv7 identifiers that everything else carries.
//
// A grain's identity is "<affinity>/<kind>/<id>"; placement hashes the affinity only. In every key, wake-up,
// entry and message the id of a training or a device is "<affinity>/<id>" (a training's affinity is its user,
// a device's the person it was registered for, or its own id where riders share it); all other kinds carry the
// plain id, which is its own affinity. Minting an id needs a clock and randomness, so New takes both.
package id

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"paceline/domain/fault"
	"paceline/domain/unit"
)

// Kind is a kind of grain, as stored in keys.
type Kind string

// The kinds of the spine.
const (
	User        Kind = "user"
	Device      Kind = "device"
	Training    Kind = "training"
	Competition Kind = "competition"
)

// DefaultOrganization is the organization of a lone node.
const DefaultOrganization = "default"

// ErrMalformed is the answer to an identifier that cannot be one.
var ErrMalformed = fault.New(fault.Invalid, "id.malformed", "This is not a valid identifier.")

// Grain names one grain.
type Grain struct {
	Kind Kind
	ID   string // "<affinity>/<id>" for training and device, the plain id elsewhere
}

// Affinity is what placement hashes: everything with the same affinity lives on the same node.
func (g Grain) Affinity() string {
	if a, _, ok := strings.Cut(g.ID, "/"); ok {
		return a
	}
	return g.ID
}

// Local is the id without its affinity.
func (g Grain) Local() string {
	if _, l, ok := strings.Cut(g.ID, "/"); ok {
		return l
	}
	return g.ID
}

// Identity is "<affinity>/<kind>/<id>".
func (g Grain) Identity() string { return g.Affinity() + "/" + string(g.Kind) + "/" + g.Local() }

// AppendIdentity is Identity without a string of its own.
func (g Grain) AppendIdentity(b []byte) []byte {
	b = append(append(b, g.Affinity()...), '/')
	b = append(append(b, g.Kind...), '/')
	return append(b, g.Local()...)
}

// String is "<kind>/<id>", for logs and keys.
func (g Grain) String() string { return string(g.Kind) + "/" + g.ID }

// ParseIdentity reads "<affinity>/<kind>/<id>".
func ParseIdentity(s string) (Grain, error) {
	p := strings.Split(s, "/")
	if len(p) != 3 || p[0] == "" || p[1] == "" || p[2] == "" {
		return Grain{}, ErrMalformed.With("identity %q", s)
	}
	k := Kind(p[1])
	if k == Training || k == Device {
		return Grain{k, p[0] + "/" + p[2]}, nil
	}
	if p[0] != p[2] {
		return Grain{}, ErrMalformed.With("identity %q: affinity is not the id", s)
	}
	return Grain{k, p[2]}, nil
}

// Of names the grain of a kind that is its own affinity (user, competition).
func Of(k Kind, id string) Grain { return Grain{k, id} }

// Scoped names a training or device: affinity and local id.
func Scoped(k Kind, affinity, local string) Grain { return Grain{k, affinity + "/" + local} }

// CheckScoped reports whether s has the form "<affinity>/<id>" with both parts well formed.
func CheckScoped(s string) error {
	a, l, ok := strings.Cut(s, "/")
	if !ok {
		return ErrMalformed.With("%q has no affinity", s)
	}
	if err := Check(a); err != nil {
		return err
	}
	return Check(l)
}

// Check accepts what may stand in a key: 1 to 64 of a-z A-Z 0-9 . _ : and -.
func Check(s string) error {
	if len(s) == 0 || len(s) > 64 {
		return ErrMalformed.With("length %d, want 1 to 64", len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return ErrMalformed.With("character %q", c)
		}
	}
	return nil
}

// New is the UUIDv7 of an instant and ten random bytes (RFC 9562, section 5.7).
func New(at unit.InstantMs, random [10]byte) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at)<<16)
	copy(b[6:], random[:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	s[8] = '-'
	hex.Encode(s[9:13], b[4:6])
	s[13] = '-'
	hex.Encode(s[14:18], b[6:8])
	s[18] = '-'
	hex.Encode(s[19:23], b[8:10])
	s[23] = '-'
	hex.Encode(s[24:], b[10:])
	return string(s[:])
}

// MintedAt is the instant inside a UUIDv7; false if s is not one.
func MintedAt(s string) (unit.InstantMs, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' || s[14] != '7' {
		return 0, false
	}
	b, err := hex.DecodeString(s[:8] + s[9:13])
	if err != nil {
		return 0, false
	}
	if _, err := hex.DecodeString(s[14:18] + s[19:23] + s[24:]); err != nil {
		return 0, false
	}
	return unit.InstantMs(uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))), true
}
