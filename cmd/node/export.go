package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/gateway/auth"
	"paceline/persistence"
	"paceline/pipeline/bundle"
)

type exportCmd struct {
	settings
	Competition string `arg:"" help:"The competition's id."`
	Out         string `help:"The file to write." default:"bundle.zip" short:"o"`
	Offline     bool   `help:"Read the data folder of a node that does not run, or the keyspace, instead of asking a node."`
}

// Run writes the bundle of a published result.
func (e exportCmd) Run(p process) error {
	if err := e.validate(); err != nil {
		return err
	}
	write := e.fromNode
	if e.Offline {
		write = e.fromFolder
	}
	// Beside the file first: a bundle that is not whole must not look like one.
	f, err := os.CreateTemp(filepath.Dir(e.Out), filepath.Base(e.Out)+".part-*")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	err = errors.Join(write(p.ctx, f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), e.Out)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("export %s: %w", e.Competition, err), os.Remove(f.Name()))
	}
	_, err = fmt.Fprintln(p.out, "written:", e.Out)
	return err
}

func (e exportCmd) fromFolder(ctx context.Context, w io.Writer) error {
	if _, err := os.Stat(e.DataDir); err != nil && e.Store != storeCQL {
		return fmt.Errorf("data folder: %w", err) // openStore would make it
	}
	st, err := openStore(ctx, e.settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(bundle.Write(ctx, persistence.Over(st.rows), e.Competition, w), st.close())
}

func (e exportCmd) fromNode(ctx context.Context, w io.Writer) error {
	keys, err := auth.LoadKeys(e.tokenKeysFile()) // fresh ones would be no node's
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no %s: --data-dir (or --keys-dir) must be the node's", e.tokenKeysFile())
	}
	if err != nil {
		return err
	}
	who, err := auth.ParsePrincipal("operator:export")
	if err != nil {
		return err
	}
	token, err := keys.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: 10 * time.Minute})
	if err != nil {
		return err
	}
	client := managev1.NewCompetitionServiceClient(http.DefaultClient, "http://"+e.Listen)
	ask := connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: e.Competition})
	ask.Header().Set("Authorization", "Bearer "+token)
	pieces, err := client.ExportBundle(ctx, ask)
	if err != nil {
		return err
	}
	for pieces.Receive() {
		if _, err := w.Write(pieces.Msg().Chunk); err != nil {
			return err
		}
	}
	return errors.Join(pieces.Err(), pieces.Close())
}
