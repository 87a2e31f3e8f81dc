package rest

import (
	"cmp"
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/cluster/call"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/auth"
)

var errMissing = fault.New(fault.Invalid, "rest.missing", "The request lacks a field.")

// call is who asks. A request without a command id gets one, so that our own repeats of it are harmless.
func (a *api) call(ctx context.Context, commandID string) (*clusterv1.Call, error) {
	if commandID == "" {
		commandID = a.NewID()
	} else if err := id.Check(commandID); err != nil {
		return nil, err
	}
	return &clusterv1.Call{CommandId: commandID, By: principal(ctx).String(), Trace: call.Trace(ctx)}, nil
}

// ask asks a grain and expects an answer of type T.
func ask[T proto.Message](ctx context.Context, a *api, to id.Grain, msg proto.Message) (T, error) {
	var none T
	m, err := a.Calls.Ask(ctx, to, msg)
	if err != nil {
		return none, err
	}
	answer, ok := m.(T)
	if !ok {
		return none, fault.New(fault.Internal, "internal", "Something went wrong on our side.").With("%v answers %T with %T", to, msg, m)
	}
	return answer, nil
}

type users struct{ *api }

// RegisterUser implements managev1.UserServiceHandler.
func (u users) RegisterUser(ctx context.Context, r *connect.Request[managev1.RegisterUserRequest]) (*connect.Response[managev1.RegisterUserResponse], error) {
	who := r.Msg.UserId
	if err := auth.Check(principal(ctx), auth.RegisterUser, auth.Resource{Person: who}); err != nil {
		return nil, err
	}
	if r.Msg.Profile == nil {
		return nil, errMissing.With("profile")
	}
	if who == "" {
		who = u.NewID()
	} else if err := id.Check(who); err != nil {
		return nil, err
	}
	call, err := u.call(ctx, r.Msg.CommandId)
	if err != nil {
		return nil, err
	}
	done, err := ask[*clusterv1.Ack](ctx, u.api, id.Of(id.User, who), &userv1.Register{Call: call, Profile: r.Msg.Profile})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.RegisterUserResponse{UserId: who, Version: done.Version}), nil
}

// GetUser implements managev1.UserServiceHandler.
func (u users) GetUser(ctx context.Context, r *connect.Request[managev1.GetUserRequest]) (*connect.Response[managev1.GetUserResponse], error) {
	if err := id.Check(r.Msg.UserId); err != nil {
		return nil, err
	}
	if err := auth.Check(principal(ctx), auth.ReadUser, auth.Resource{Person: r.Msg.UserId}); err != nil {
		return nil, err
	}
	state, err := ask[*userv1.State](ctx, u.api, id.Of(id.User, r.Msg.UserId), &userv1.Get{})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.GetUserResponse{User: state}), nil
}

type devices struct{ *api }

// RegisterDevice implements managev1.DeviceServiceHandler.
func (d devices) RegisterDevice(ctx context.Context, r *connect.Request[managev1.RegisterDeviceRequest]) (*connect.Response[managev1.RegisterDeviceResponse], error) {
	if r.Msg.Device == nil {
		return nil, errMissing.With("device")
	}
	if err := auth.Check(principal(ctx), auth.RegisterDevice, auth.Resource{Person: r.Msg.Device.Owner}); err != nil {
		return nil, err
	}
	device := r.Msg.DeviceId
	if device == "" {
		local := d.NewID()
		device = local + "/" + local // a shared machine is its own affinity
		if r.Msg.Device.Owner != "" {
			device = r.Msg.Device.Owner + "/" + local
		}
	}
	if err := id.CheckScoped(device); err != nil {
		return nil, err
	}
	call, err := d.call(ctx, r.Msg.CommandId)
	if err != nil {
		return nil, err
	}
	done, err := ask[*clusterv1.Ack](ctx, d.api, id.Grain{Kind: id.Device, ID: device}, &devicev1.Register{Call: call, Device: r.Msg.Device})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.RegisterDeviceResponse{DeviceId: device, Version: done.Version}), nil
}

// ClaimDevice implements managev1.DeviceServiceHandler.
func (d devices) ClaimDevice(ctx context.Context, r *connect.Request[managev1.ClaimDeviceRequest]) (*connect.Response[managev1.ClaimDeviceResponse], error) {
	if err := id.CheckScoped(r.Msg.DeviceId); err != nil {
		return nil, err
	}
	if err := id.Check(r.Msg.PersonId); err != nil {
		return nil, err
	}
	if err := auth.Check(principal(ctx), auth.ClaimDevice, auth.Resource{Person: r.Msg.PersonId, Device: r.Msg.DeviceId}); err != nil {
		return nil, err
	}
	call, err := d.call(ctx, r.Msg.CommandId)
	if err != nil {
		return nil, err
	}
	claim := &devicev1.Claim{Call: call, Person: r.Msg.PersonId, UntilMs: r.Msg.UntilMs}
	done, err := ask[*clusterv1.Ack](ctx, d.api, id.Grain{Kind: id.Device, ID: r.Msg.DeviceId}, claim)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.ClaimDeviceResponse{Version: done.Version}), nil
}

// ReleaseDevice implements managev1.DeviceServiceHandler. Whose claim it is the device knows; it decides once more when
// it ends it, should somebody else have claimed it in between.
func (d devices) ReleaseDevice(ctx context.Context, r *connect.Request[managev1.ReleaseDeviceRequest]) (*connect.Response[managev1.ReleaseDeviceResponse], error) {
	if err := id.CheckScoped(r.Msg.DeviceId); err != nil {
		return nil, err
	}
	p, device := principal(ctx), id.Grain{Kind: id.Device, ID: r.Msg.DeviceId}
	about := auth.Resource{Device: r.Msg.DeviceId}
	if p.Role == auth.Athlete { // of nobody else it matters
		state, err := ask[*devicev1.State](ctx, d.api, device, &devicev1.Get{})
		if err != nil {
			return nil, err
		}
		about.Person = cmp.Or(state.ClaimedBy, p.Person()) // what nobody has claimed is nobody's to keep
	}
	if err := auth.Check(p, auth.ReleaseDevice, about); err != nil {
		return nil, err
	}
	call, err := d.call(ctx, r.Msg.CommandId)
	if err != nil {
		return nil, err
	}
	done, err := ask[*clusterv1.Ack](ctx, d.api, device, &devicev1.Release{Call: call})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.ReleaseDeviceResponse{Version: done.Version}), nil
}

// GetDevice implements managev1.DeviceServiceHandler.
func (d devices) GetDevice(ctx context.Context, r *connect.Request[managev1.GetDeviceRequest]) (*connect.Response[managev1.GetDeviceResponse], error) {
	if err := id.CheckScoped(r.Msg.DeviceId); err != nil {
		return nil, err
	}
	if err := auth.Check(principal(ctx), auth.ReadDevice, auth.Resource{Device: r.Msg.DeviceId}); err != nil {
		return nil, err
	}
	state, err := ask[*devicev1.State](ctx, d.api, id.Grain{Kind: id.Device, ID: r.Msg.DeviceId}, &devicev1.Get{})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.GetDeviceResponse{Device: state}), nil
}

type trainings struct{ *api }

// ErrNoTraining is the answer to a workout that nobody has started.
var ErrNoTraining = fault.New(fault.NotFound, "training.not_found", "There is no such workout.")

// GetTraining implements managev1.TrainingServiceHandler.
func (t trainings) GetTraining(ctx context.Context, r *connect.Request[managev1.GetTrainingRequest]) (*connect.Response[managev1.GetTrainingResponse], error) {
	if err := id.CheckScoped(r.Msg.TrainingId); err != nil {
		return nil, err
	}
	g := id.Grain{Kind: id.Training, ID: r.Msg.TrainingId}
	if err := auth.Check(principal(ctx), auth.ReadTraining, auth.Resource{Person: g.Affinity()}); err != nil {
		return nil, err
	}
	state, err := ask[*trainingv1.State](ctx, t.api, g, &trainingv1.Get{})
	if err != nil {
		return nil, err
	}
	if state.Started == nil {
		return nil, ErrNoTraining
	}
	return connect.NewResponse(&managev1.GetTrainingResponse{Training: state}), nil
}

type nodes struct{ *api }

// GetClock implements managev1.NodeServiceHandler.
func (n nodes) GetClock(ctx context.Context, _ *connect.Request[managev1.GetClockRequest]) (*connect.Response[managev1.GetClockResponse], error) {
	if err := auth.Check(principal(ctx), auth.ReadClock, auth.Resource{}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&managev1.GetClockResponse{NowMs: int64(n.Clock().Node), Rate: n.Rate}), nil
}
