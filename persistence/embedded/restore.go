package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Restore makes the folder of what a backup holds. It is there whole or not at all: the files go into a folder beside,
// which takes the name once every digest is right, the store in it has been read whole, and all of it is synced.
func Restore(ctx context.Context, cfg Config, from io.Reader) (*Manifest, error) {
	return restoreOn(ctx, cfg, vfs.Default, from)
}

func restoreOn(ctx context.Context, cfg Config, fs vfs.FS, from io.Reader) (*Manifest, error) {
	folder := filepath.Clean(cfg.Folder)
	if err := empty(fs, folder); err != nil {
		return nil, err
	}
	parent := filepath.Dir(folder)
	if err := makeFolder(fs, parent); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	beside := folder + ".restoring-" + rand.Text()
	if err := fs.MkdirAll(beside, 0o700); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	m, err := ReadBackup(from, func(name string, content io.Reader) error {
		return putSynced(fs, fs.PathJoin(beside, name), content)
	})
	if err == nil {
		err = examineRestored(ctx, cfg, fs, beside)
	}
	if err == nil {
		err = take(fs, beside, folder, parent)
	}
	if err != nil {
		return nil, errors.Join(err, fs.RemoveAll(beside))
	}
	return m, nil
}

// empty refuses a place where something is.
func empty(fs vfs.FS, folder string) error {
	names, err := fs.List(folder)
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

// makeFolder makes a folder where there is none; those that it makes are in their parents for good when it returns.
func makeFolder(fs vfs.FS, folder string) error {
	if _, err := fs.Stat(folder); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(folder)
	if err := makeFolder(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return syncFolder(fs, parent)
}

// syncFolder makes names last: those of a folder are no part of the files.
func syncFolder(fs vfs.FS, folder string) error {
	d, err := fs.OpenDir(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func putSynced(fs vfs.FS, name string, content io.Reader) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// examineRestored looks at the store as a start does, and reads all of it.
func examineRestored(ctx context.Context, cfg Config, fs vfs.FS, beside string) error {
	cfg.Folder = beside
	lock, err := pebble.LockDirectory(beside, fs)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(cfg.whole().examine(ctx, fs, lock), lock.Close())
}

// take gives the folder its name, after the names in it are there for good.
func take(fs vfs.FS, beside, folder, parent string) error {
	err := syncFolder(fs, beside)
	if err == nil {
		if err = fs.Remove(folder); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = fs.Rename(beside, folder)
	}
	if err == nil {
		err = syncFolder(fs, parent)
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// TakeName gives a file that is written and synced its name, for good when it returns. It never replaces another file.
func TakeName(file, name string) error { return takeName(vfs.Default, file, name) }

func takeName(fs vfs.FS, file, name string) error {
	err := fs.Link(file, name)
	switch {
	case err == nil:
		err = fs.Remove(file)
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s is there already, and is not overwritten", name)
	default: // this disk gives no second names
		if _, there := fs.Stat(name); !errors.Is(there, os.ErrNotExist) {
			return err
		}
		err = fs.Rename(file, name)
	}
	if err != nil {
		return err
	}
	return syncFolder(fs, filepath.Dir(name))
}
