package sealed

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WrappingKey wraps the keys of all subjects.
type WrappingKey [32]byte

// ErrKeyFile is the answer to a file that cannot be the wrapping key, or that others may read.
var ErrKeyFile = errors.New("wrapping key file")

// LoadOrCreateWrappingKey reads the key from a file, or makes one with mode 0600. The file must not lie in the
// data folder: whoever copies the data must not get the key with it.
func LoadOrCreateWrappingKey(path string) (WrappingKey, error) {
	key, err := LoadWrappingKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, err := rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	if err := writeOnce(path, []byte(hex.EncodeToString(key[:])+"\n")); err != nil {
		if errors.Is(err, fs.ErrExist) { // another process was faster
			return LoadWrappingKey(path)
		}
		return key, fmt.Errorf("%w %s: %w", ErrKeyFile, path, err)
	}
	return key, nil
}

// writeOnce makes a file that did not exist, whole and synced: a key that is used and then lost to a power cut
// would take all data with it.
func writeOnce(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".wrapping-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	if _, err := tmp.Write(b); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike a rename, refuses to replace
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// LoadWrappingKey reads the key from a file, and makes none: fs.ErrNotExist if there is no file.
func LoadWrappingKey(path string) (WrappingKey, error) {
	var key WrappingKey
	info, err := os.Stat(path)
	if err != nil {
		return key, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return key, fmt.Errorf("%w %s: mode is %#o, others may read it; want 0600", ErrKeyFile, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return key, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(key) {
		return key, fmt.Errorf("%w %s: want %d hexadecimal digits", ErrKeyFile, path, 2*len(key))
	}
	return WrappingKey(b), nil
}
