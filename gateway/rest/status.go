package rest

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
)

// codes maps kinds of faults to status codes.
var codes = map[fault.Kind]connect.Code{
	fault.Internal:    connect.CodeInternal,
	fault.Invalid:     connect.CodeInvalidArgument,
	fault.Denied:      connect.CodePermissionDenied,
	fault.NotFound:    connect.CodeNotFound,
	fault.Conflict:    connect.CodeFailedPrecondition,
	fault.Exhausted:   connect.CodeResourceExhausted,
	fault.Unavailable: connect.CodeUnavailable,
	fault.Unauthentic: connect.CodeUnauthenticated,
}

// status is the error as a caller of an RPC sees it: a status code, a sentence, and the fault with its stable code
// as a detail. Our own mistakes show as one neutral sentence, and name the trace by which our log is found.
func status(err error, trace string) error {
	if err == nil {
		return nil
	}
	var already *connect.Error
	if errors.As(err, &already) {
		return already // ours of a body (body.go), or Connect's own: no message in a request, or two
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errDeadline
	}
	f := fault.Of(err)
	code, ok := codes[f.Kind]
	if !ok {
		code = connect.CodeUnknown
	}
	out := connect.NewError(code, errors.New(f.Message))
	wireFault := &clusterv1.Fault{Kind: uint32(f.Kind), Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: f.Detail}
	if f.Kind == fault.Internal {
		wireFault.Detail = ""
		if trace != "" {
			wireFault.Detail = "trace " + trace
		}
	}
	if detail, err := connect.NewErrorDetail(wireFault); err == nil {
		out.AddDetail(detail)
	}
	return out
}

var errDeadline = fault.Later("rest.deadline", "The answer did not come in time; the same request may be sent again.")
