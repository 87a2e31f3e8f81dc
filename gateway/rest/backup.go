package rest

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/gateway/auth"
)

// Backup implements managev1.NodeServiceHandler.
func (n nodes) Backup(ctx context.Context, _ *connect.Request[managev1.BackupRequest], s *connect.ServerStream[managev1.BackupResponse]) error {
	if err := auth.Check(principal(ctx), auth.BackUp, auth.Resource{}); err != nil {
		return err
	}
	return n.Deps.Backup.Backup(ctx, backupChunks{s})
}

// backupChunks sends what is written, in pieces.
type backupChunks struct {
	stream *connect.ServerStream[managev1.BackupResponse]
}

func (c backupChunks) Write(b []byte) (int, error) {
	for piece := range slices.Chunk(b, chunkBytes) {
		if err := c.stream.Send(&managev1.BackupResponse{Chunk: piece}); err != nil {
			return 0, fmt.Errorf("send a piece of the backup: %w", err)
		}
	}
	return len(b), nil
}
