package call

import (
	"context"
	"errors"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
)

// What the way itself can answer. Trying again may help with all of them.
var (
	ErrMoved    = fault.Later("cluster.moved", "This has moved to another place; try again.")
	ErrTimeout  = fault.Later("cluster.timeout", "No answer came in time; try again.")
	ErrNoMember = fault.Later("cluster.no_member", "Nobody serves this at the moment; try again shortly.")
	ErrBusy     = fault.Later("cluster.busy", "Too many requests are under way; try again shortly.")
	ErrFailed   = fault.Later("cluster.failed", "Something went wrong on our side; try again shortly.")
	// ErrNotAMessage: a shell answered with something that cannot cross a process border.
	ErrNotAMessage = fault.New(fault.Internal, "cluster.not_a_message", "Something went wrong on our side.")
)

// Reason is a fault as grains answer it.
func Reason(err error) *clusterv1.Fault {
	f := fault.Of(err)
	if f == nil {
		return nil
	}
	return &clusterv1.Fault{Kind: uint32(f.Kind), Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: f.Detail}
}

// Fault is a grain's answer as a fault. A kind that this version does not know is Internal.
func Fault(r *clusterv1.Fault) *fault.Fault {
	k := fault.Kind(r.GetKind())
	if r.GetKind() > uint32(fault.Unauthentic) {
		k = fault.Internal
	}
	return &fault.Fault{Kind: k, Code: r.GetCode(), Message: r.GetMessage(), Retry: r.GetRetry(), Detail: r.GetDetail()}
}

// ofContext is the fault of a caller that did not wait.
func ofContext(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return ErrTimeout.With("cancelled")
}
