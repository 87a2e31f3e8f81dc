package sealed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"paceline/persistence"
)

const (
	keyFormat = 1
	// keyErased takes the place of a wrapped key, at least as long as one, so that it overwrites it.
	keyErased = 2
	keyBytes  = 32
	// checkPart holds a constant under the wrapping key: a wrong key file is noticed at the start.
	checkPart = "\x00check"
	checkText = "paceline wrapping key"
)

// ErrWrongKey: the wrapping key is not the one with which this store was begun.
var ErrWrongKey = errors.New("sealed: the wrapping key does not belong to this data")

// subjectKeys is what is derived from the key of one subject.
type subjectKeys struct {
	cells  cipher.AEAD
	nonces []byte
	names  []byte
}

func derive(secret []byte, what string) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, "paceline "+what, keyBytes)
	if err != nil {
		panic(err) // only for impossible lengths
	}
	return k
}

func newAEAD(key []byte) cipher.AEAD {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for impossible lengths
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		panic(err) // only for impossible lengths
	}
	return g
}

func newSubjectKeys(secret []byte) *subjectKeys {
	return &subjectKeys{cells: newAEAD(derive(secret, "cells")), nonces: derive(secret, "nonces"), names: derive(secret, "names")}
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// keyTable holds the wrapped keys and a bounded cache of unwrapped ones.
type keyTable struct {
	rows   persistence.Rows
	wrap   cipher.AEAD
	random io.Reader
	most   int

	mu    sync.Mutex
	cache map[string]*subjectKeys
	// forgot counts forgotten keys: one that was read before an erasure must not be cached after it.
	forgot uint64
}

func keyPart(subject string) persistence.Part {
	return persistence.Part{Table: persistence.TableKeys, Key: subject}
}

// Begun reports whether a store has been sealed: then it has a wrapping key, and a fresh one opens nothing of it.
func Begun(ctx context.Context, rows persistence.Rows) (bool, error) {
	_, ok, err := rows.Get(ctx, keyPart(checkPart), "")
	if err != nil {
		return false, fmt.Errorf("sealed: %w", err)
	}
	return ok, nil
}

// check compares the wrapping key with the one of the store, or notes it.
func (k *keyTable) check(ctx context.Context) error {
	p := keyPart(checkPart)
	cell, ok, err := k.rows.Get(ctx, p, "")
	if err != nil {
		return fmt.Errorf("sealed: %w", err)
	}
	if ok {
		_, err := k.unwrap(checkPart, cell)
		return err
	}
	cell, err = k.wrapped(checkPart, []byte(checkText))
	if err != nil {
		return err
	}
	applied, _, err := k.rows.PutIf(ctx, p, 0, persistence.Head{Version: 1, AppendID: "check"}, []persistence.Row{{Cell: cell}})
	if err == nil && !applied {
		return k.check(ctx)
	}
	return err
}

func (k *keyTable) wrapped(subject string, secret []byte) ([]byte, error) {
	cell := make([]byte, 1+k.wrap.NonceSize(), 1+k.wrap.NonceSize()+len(secret)+k.wrap.Overhead())
	cell[0] = keyFormat
	if _, err := io.ReadFull(k.random, cell[1:]); err != nil {
		return nil, fmt.Errorf("sealed: randomness: %w", err)
	}
	return k.wrap.Seal(cell, cell[1:], secret, []byte(subject)), nil
}

func (k *keyTable) unwrap(subject string, cell []byte) ([]byte, error) {
	n := 1 + k.wrap.NonceSize()
	switch {
	case len(cell) > 0 && cell[0] == keyErased:
		return nil, persistence.ErrErased
	case len(cell) < n || cell[0] != keyFormat:
		return nil, fmt.Errorf("%w: key of %s", persistence.ErrCorrupt, subject)
	}
	secret, err := k.wrap.Open(nil, cell[1:n], cell[n:], []byte(subject))
	if err != nil {
		return nil, ErrWrongKey
	}
	return secret, nil
}

// of is the keys of a subject. To seal, they are made if there are none; to open, their absence is ErrErased: a
// key that a backup did not bring back is a destroyed key.
func (k *keyTable) of(ctx context.Context, subject string, use keyUse) (*subjectKeys, error) {
	k.mu.Lock()
	have, forgot := k.cache[subject], k.forgot
	k.mu.Unlock()
	if have != nil {
		return have, nil
	}
	cell, ok, err := k.rows.Get(ctx, keyPart(subject), "")
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", subject, err)
	}
	if !ok {
		if use == toOpen {
			return nil, fmt.Errorf("key of %s: %w", subject, persistence.ErrErased)
		}
		if cell, err = k.create(ctx, subject); err != nil {
			return nil, fmt.Errorf("key of %s: %w", subject, err)
		}
	}
	secret, err := k.unwrap(subject, cell)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", subject, err)
	}
	keys := newSubjectKeys(secret)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.forgot != forgot {
		return keys, nil
	}
	if len(k.cache) >= k.most {
		for s := range k.cache { // any one: it is read again when it is needed
			delete(k.cache, s)
			break
		}
	}
	k.cache[subject] = keys
	return keys, nil
}

type keyUse bool

const (
	toOpen keyUse = false
	toSeal keyUse = true
)

// create makes a key, or finds the one that somebody else made meanwhile. Nothing has been sealed with it yet,
// so an unknown outcome is no more than "try again".
func (k *keyTable) create(ctx context.Context, subject string) ([]byte, error) {
	secret := make([]byte, keyBytes)
	if _, err := io.ReadFull(k.random, secret); err != nil {
		return nil, fmt.Errorf("sealed: randomness: %w", err)
	}
	cell, err := k.wrapped(subject, secret)
	if err != nil {
		return nil, err
	}
	applied, _, err := k.rows.PutIf(ctx, keyPart(subject), 0, persistence.Head{Version: 1, AppendID: "created"}, []persistence.Row{{Cell: cell}})
	if err != nil {
		return nil, fmt.Errorf("%w: %s", persistence.ErrUnavailable, err.Error()) // not ErrUnknown
	}
	if applied {
		return cell, nil
	}
	cell, ok, err := k.rows.Get(ctx, keyPart(subject), "")
	if err == nil && !ok {
		err = persistence.ErrErased
	}
	return cell, err
}

// erase overwrites the key of a subject, also of one that has none yet: a late write must not make one.
func (k *keyTable) erase(ctx context.Context, subject string) error {
	gone := make([]byte, 1+k.wrap.NonceSize()+keyBytes+k.wrap.Overhead())
	gone[0] = keyErased
	for {
		head, err := k.rows.Head(ctx, keyPart(subject))
		if err != nil {
			return err
		}
		next := persistence.Head{Version: head.Version + 1, AppendID: "erased"}
		applied, _, err := k.rows.PutIf(ctx, keyPart(subject), head.Version, next, []persistence.Row{{Cell: gone}})
		if err != nil {
			return err
		}
		if applied {
			break
		}
	}
	k.forget(subject)
	if c, ok := k.rows.(persistence.Compacter); ok {
		return c.Compact(ctx, persistence.TableKeys)
	}
	return nil
}

func (k *keyTable) forget(subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.cache, subject)
	k.forgot++
}
