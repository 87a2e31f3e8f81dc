package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Restore makes the folder of what a backup holds. It is there whole or not at all: the files go into a folder beside,
// which takes the name once every digest is right and the store in it has been examined.
func Restore(cfg Config, from io.Reader) (*Manifest, error) {
	folder := filepath.Clean(cfg.Folder)
	if err := empty(folder); err != nil {
		return nil, err
	}
	parent := filepath.Dir(folder)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	beside, err := os.MkdirTemp(parent, filepath.Base(folder)+".restoring-*")
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	m, err := ReadBackup(from, func(name string, content io.Reader) error { return putSynced(filepath.Join(beside, name), content) })
	if err == nil {
		err = examineRestored(cfg, beside)
	}
	if err == nil {
		err = take(beside, folder, parent)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(beside))
	}
	return m, nil
}

// empty refuses a place where something is.
func empty(folder string) error {
	names, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("restore: %w", err)
	case len(names) > 0:
		return fmt.Errorf("%w: %s", ErrNotEmpty, folder)
	}
	return nil
}

func putSynced(name string, content io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// examineRestored looks at the store as a start does.
func examineRestored(cfg Config, beside string) error {
	cfg.Folder = beside
	lock, err := pebble.LockDirectory(beside, vfs.Default)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(cfg.examine(vfs.Default, lock), lock.Close())
}

// take gives the folder its name.
func take(beside, folder, parent string) error {
	if err := os.Remove(folder); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(beside, folder); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	d, err := os.Open(parent)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
