package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
)

// TestASharedMachineIsGivenBack: whoever has claimed it releases it, an operator does if he has gone, and if nobody does
// the claim ends by itself.
func TestASharedMachineIsGivenBack(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	operator := manage(t, s, data)
	register := func(handle string) (string, management) {
		u := must[managev1.RegisterUserResponse](t)(operator.users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			Profile: &userv1.Profile{Handle: handle, Name: handle, Visibility: userv1.Visibility_VISIBILITY_PRIVATE}}))).UserId
		return u, manageAs(t, s, data, "athlete:"+u)
	}
	ann, asAnn := register("ann")
	bob, asBob := register("bob")
	mill := must[managev1.RegisterDeviceResponse](t)(operator.devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
		Device: &devicev1.Registered{Name: "mill"}}))).DeviceId
	claim := func(m management, person, code string) {
		t.Helper()
		_, err := m.devices.ClaimDevice(t.Context(), connect.NewRequest(&managev1.ClaimDeviceRequest{DeviceId: mill, PersonId: person}))
		wantCode(t, "claim", err, code)
	}
	release := func(m management, code string) {
		t.Helper()
		_, err := m.devices.ReleaseDevice(t.Context(), connect.NewRequest(&managev1.ReleaseDeviceRequest{DeviceId: mill}))
		wantCode(t, "release", err, code)
	}
	release(asAnn, "") // nobody has it
	claim(asAnn, ann, "")
	d := must[managev1.GetDeviceResponse](t)(operator.devices.GetDevice(t.Context(), connect.NewRequest(&managev1.GetDeviceRequest{DeviceId: mill}))).Device
	if left := time.Until(time.UnixMilli(d.ClaimedUntilMs)); d.ClaimedBy != ann || left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("claimed by %s for %v, want ann for 12 h", d.ClaimedBy, left)
	}
	claim(asBob, bob, "device.claimed")
	release(asBob, "auth.denied")
	release(asAnn, "")
	release(asAnn, "") // says the same again
	claim(asBob, bob, "")
	release(asAnn, "auth.denied")
	release(operator, "")
	claim(asAnn, ann, "")
}

// wantCode checks the code of a refusal; empty: none.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *connect.Error
	if err == nil || errors.Is(err, context.Canceled) || !errors.As(err, &e) || len(e.Details()) == 0 {
		if err != nil || code != "" {
			t.Errorf("%s = %v, want %q", what, err, code)
		}
		return
	}
	detail, err := e.Details()[0].Value()
	if f, ok := detail.(*clusterv1.Fault); err != nil || !ok || f.Code != code {
		t.Errorf("%s = %v, want %q", what, detail, code)
	}
}
