package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/persistence/embedded"
)

// errNotEmbedded answers a node whose store is not a folder.
var errNotEmbedded = fault.New(fault.Invalid, "backup.not_embedded", "Only the embedded store is backed up by paceline; for CQL see docs/storage.md.")

// errDamagedStore: the node serves on until it meets what is damaged, and then ends.
var errDamagedStore = fault.New(fault.Internal, "backup.damaged", "The store is damaged, so no backup was made of it; keep the older ones.")

// backuper writes what the node's folder holds.
type backuper struct{ n *node }

// Backup implements rest.Backuper.
func (b backuper) Backup(ctx context.Context, w io.Writer) error {
	rows, ok := b.n.store.under.(*embedded.Rows)
	if !ok {
		return errNotEmbedded
	}
	began := time.Now()
	m, err := rows.Backup(ctx, w, unit.InstantMs(began.UnixMilli()))
	if errors.Is(err, embedded.ErrDamaged) {
		b.n.log.Error("no backup was made", "err", err)
		return errDamagedStore
	}
	if err != nil {
		return err
	}
	b.n.log.Info("backed up", "files", len(m.Files), "bytes", m.Bytes(), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

type backupCmd struct {
	settings
	To      string `required:"" help:"The file to write, or a folder, in which it gets a name with the time. Nothing is overwritten." placeholder:"FILE"`
	Offline bool   `help:"Read the data folder of a node that does not run, instead of asking the one that does."`
}

// Run writes the backup and reads it again, so that what is reported is there.
func (c backupCmd) Run(p process) error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.Store != "embedded" {
		return errors.New("backup: only the embedded store is backed up by paceline; for CQL see docs/storage.md, and a memory store is gone with its process")
	}
	to := c.To
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, "paceline-"+time.Now().UTC().Format("20060102T150405Z")+".backup")
	}
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("backup: %s is there already, and is not overwritten", to)
	}
	if within(c.DataDir, to) {
		return fmt.Errorf("backup: %s lies in the data folder: it would be gone with it", to)
	}
	m, err := c.write(p.ctx, to)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(p.out, "written: %s (%d files, %d bytes, all that was acknowledged before %s)\n", to, len(m.Files), m.Bytes(), m.MadeAt.Time().Format(time.RFC3339))
	_, err = fmt.Fprintf(p.out, "the keys (%s) are not in it: keep a copy of them elsewhere, without them nobody can read what is sealed\n", c.keysDir())
	return err
}

// write goes beside the file first: a backup that is not whole must not look like one.
func (c backupCmd) write(ctx context.Context, to string) (*embedded.Manifest, error) {
	f, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-*")
	if err != nil {
		return nil, err
	}
	from := c.fromNode
	if c.Offline {
		from = c.fromFolder
	}
	err = errors.Join(from(ctx, f), f.Sync())
	var m *embedded.Manifest
	if err == nil {
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			m, err = embedded.ReadBackup(f, nil)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = embedded.TakeName(f.Name(), to)
	}
	if err != nil {
		if gone := os.Remove(f.Name()); !errors.Is(gone, os.ErrNotExist) { // it may have its name already
			err = errors.Join(err, gone)
		}
		return nil, err
	}
	return m, nil
}

func (c backupCmd) fromFolder(ctx context.Context, w io.Writer) error {
	if _, err := os.Stat(c.DataDir); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	_, err := embedded.BackupFolder(ctx, c.embedded(), w, unit.InstantMs(time.Now().UnixMilli()))
	if errors.Is(err, embedded.ErrInUse) {
		return fmt.Errorf("the data folder %s is in use by another process: leave --offline away to ask the node", c.DataDir)
	}
	return err
}

func (c backupCmd) fromNode(ctx context.Context, w io.Writer) error {
	token, err := c.operatorToken("operator:backup")
	if err != nil {
		return err
	}
	ask := connect.NewRequest(&managev1.BackupRequest{})
	ask.Header().Set("Authorization", "Bearer "+token)
	pieces, err := managev1.NewNodeServiceClient(http.DefaultClient, "http://"+c.Listen).Backup(ctx, ask)
	if err != nil {
		return err
	}
	for pieces.Receive() {
		if _, err := w.Write(pieces.Msg().Chunk); err != nil {
			return errors.Join(err, pieces.Close())
		}
	}
	if connect.CodeOf(pieces.Err()) == connect.CodeUnavailable {
		return fmt.Errorf("no node answers at %s: name its --listen, or --offline if none runs (%w)", c.Listen, pieces.Err())
	}
	return errors.Join(pieces.Err(), pieces.Close())
}

// operatorToken is for a command beside the node, with the node's own keys.
func (s settings) operatorToken(subject string) (string, error) {
	keys, err := auth.LoadKeys(s.tokenKeysFile()) // fresh ones would be no node's
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no %s: --data-dir (or --keys-dir) must be the node's", s.tokenKeysFile())
	}
	if err != nil {
		return "", err
	}
	who, err := auth.ParsePrincipal(subject)
	if err != nil {
		return "", err
	}
	return keys.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: 10 * time.Minute})
}

type restoreCmd struct {
	settings
	From  string `required:"" help:"The file that backup has written." placeholder:"FILE"`
	Check bool   `help:"Only read the backup and compare it with its manifest."`
}

// Run makes the data folder, whole or not at all.
func (c restoreCmd) Run(p process) error {
	if err := c.validate(); err != nil {
		return err
	}
	f, err := os.Open(c.From)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	var m *embedded.Manifest
	if c.Check {
		m, err = embedded.ReadBackup(f, nil)
	} else {
		m, err = embedded.Restore(p.ctx, c.embedded(), f)
	}
	switch {
	case errors.Is(err, embedded.ErrNotEmpty):
		return fmt.Errorf("restore: there is something in %s already: name an empty folder, or one that is not there, with --data-dir", c.DataDir)
	case err != nil:
		return fmt.Errorf("restore %s: %w", c.From, err)
	}
	at := m.MadeAt.Time().Format(time.RFC3339)
	if c.Check {
		_, err = fmt.Fprintf(p.out, "whole: %s (%d files, %d bytes, as of %s)\n", c.From, len(m.Files), m.Bytes(), at)
		return err
	}
	fmt.Fprintf(p.out, "restored: %s (%d files, %d bytes, as of %s)\n", c.DataDir, len(m.Files), m.Bytes(), at)
	if _, err := os.Stat(c.wrappingKeyFile()); err != nil {
		_, err = fmt.Fprintf(p.out, "before it is started the node's keys must lie in %s\n", c.keysDir())
		return err
	}
	return nil
}
