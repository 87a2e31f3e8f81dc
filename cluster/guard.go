package cluster

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errNoPeers is what anybody on a lone member's port hears.
var errNoPeers = status.Error(codes.PermissionDenied, "this member has no peers")

// refusePeers keeps everybody out of a lone member's port, before a byte of a message is decoded.
func refusePeers() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.StreamInterceptor(func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
			return errNoPeers
		}),
		grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
			return nil, errNoPeers
		}),
	}
}
