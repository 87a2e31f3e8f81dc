package rest

import (
	"context"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/auth"
)

var errOwner = fault.New(fault.Invalid, "cluster.owner", "The owner is asked for by kind and id, as competition/spring-cup or training/ann/w1.")

// GetClusterStatus implements managev1.NodeServiceHandler.
func (n nodes) GetClusterStatus(ctx context.Context, r *connect.Request[managev1.GetClusterStatusRequest]) (*connect.Response[managev1.GetClusterStatusResponse], error) {
	if err := auth.Check(principal(ctx), auth.WatchCluster, auth.Resource{}); err != nil {
		return nil, err
	}
	var owned *id.Grain
	if r.Msg.OwnerKind != "" || r.Msg.OwnerId != "" {
		g := id.Of(id.Kind(r.Msg.OwnerKind), r.Msg.OwnerId)
		if back, err := id.ParseIdentity(g.Identity()); err != nil || back != g {
			return nil, errOwner
		}
		owned = &g
	}
	s, err := n.Cluster.Status(ctx, owned)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(s), nil
}

// RaiseLevel implements managev1.NodeServiceHandler.
func (n nodes) RaiseLevel(ctx context.Context, r *connect.Request[managev1.RaiseLevelRequest]) (*connect.Response[managev1.RaiseLevelResponse], error) {
	if err := auth.Check(principal(ctx), auth.RaiseLevel, auth.Resource{}); err != nil {
		return nil, err
	}
	raised, err := n.Cluster.Raise(ctx, r.Msg.To)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(raised), nil
}
