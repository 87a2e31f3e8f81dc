package rest

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
	"paceline/gateway/auth"
	"paceline/persistence/view"
)

// young is a request that may ask for what its caller has just written.
type young interface {
	GetAtLeastStream() string
	GetAtLeastVersion() uint64
}

var (
	errBehind  = fault.Later("view.behind", "The lists have not taken this version yet; the same request may be sent again.")
	errAtLeast = fault.New(fault.Invalid, "view.at_least", "at_least wants both a stream and a version.")
)

// atLeast waits until the views have taken what the request names. Every RPC that reads views calls it, after it has
// decided whether the caller may ask at all.
func (a *api) atLeast(ctx context.Context, r young) error {
	stream, version := r.GetAtLeastStream(), r.GetAtLeastVersion()
	if stream == "" && version == 0 {
		return nil
	}
	if stream == "" || version == 0 {
		return errAtLeast
	}
	g, err := view.ParseStream(stream)
	if err != nil {
		return err
	}
	there, err := a.Views.WaitFor(ctx, g, version)
	if err != nil {
		return fmt.Errorf("wait for %v: %w", g, err)
	}
	if !there {
		return errBehind.With("%v at %d", g, version)
	}
	return nil
}

// RebuildViews implements managev1.NodeServiceHandler.
func (n nodes) RebuildViews(ctx context.Context, r *connect.Request[managev1.RebuildViewsRequest], s *connect.ServerStream[managev1.RebuildViewsResponse]) error {
	if err := auth.Check(principal(ctx), auth.RebuildViews, auth.Resource{}); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	err := n.Anew.Rebuild(ctx, r.Msg.Views, int(min(r.Msg.Rate, 1_000_000)), func(phase string, grains uint64) {
		if err := s.Send(&managev1.RebuildViewsResponse{Phase: phase, Grains: grains}); err != nil {
			end(err) // nobody listens any more; the next call goes on
		}
	})
	if gone := context.Cause(ctx); err != nil && gone != nil {
		return gone
	}
	return err
}
