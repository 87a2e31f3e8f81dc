package main

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
)

// management is the API of a running node, as somebody.
type management struct {
	users        managev1.UserServiceClient
	devices      managev1.DeviceServiceClient
	competitions managev1.CompetitionServiceClient
}

func manage(t *testing.T, s serving, data string) management {
	t.Helper()
	return manageAs(t, s, data, "operator:test")
}

func manageAs(t *testing.T, s serving, data, subject string) management {
	t.Helper()
	code, token, errs := paceline(t, "token", subject, "--data-dir", data)
	if code != 0 {
		t.Fatal(errs)
	}
	bearer := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+strings.TrimSpace(token))
			return next(ctx, r)
		}
	}))
	h := &http.Client{Timeout: 20 * time.Second}
	return management{
		managev1.NewUserServiceClient(h, s.url, bearer),
		managev1.NewDeviceServiceClient(h, s.url, bearer),
		managev1.NewCompetitionServiceClient(h, s.url, bearer),
	}
}

func must[T any](t *testing.T) func(*connect.Response[T], error) *T {
	return func(r *connect.Response[T], err error) *T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r.Msg
	}
}

// TestARestartFindsEverything: what was answered with success is there after a restart on the same folder.
func TestARestartFindsEverything(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	api := manage(t, s, data)
	ctx := t.Context()

	user := must[managev1.RegisterUserResponse](t)(api.users.RegisterUser(ctx, connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: "ann", Name: "Ann Example", Visibility: userv1.Visibility_VISIBILITY_PUBLIC},
	})))
	device := must[managev1.RegisterDeviceResponse](t)(api.devices.RegisterDevice(ctx, connect.NewRequest(&managev1.RegisterDeviceRequest{
		Device: &devicev1.Registered{Owner: user.UserId, Name: "watch"},
	})))
	race := must[managev1.CreateCompetitionResponse](t)(api.competitions.CreateCompetition(ctx, connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{
			Name: "Evening 5k", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track:          &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "running", DistanceMm: 5_000_000},
			CutoffAfterMs:  3_600_000,
			GraceMs:        30_000,
			ScheduledAtMs:  time.Now().Add(time.Hour).UnixMilli(),
			OrganizationId: "default",
		},
	})))
	added := must[managev1.CommandResponse](t)(api.competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{
		CompetitionId: race.CompetitionId,
		Command:       &competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{UserId: user.UserId}}},
	})))
	if added.Done.GetEntry() == 0 {
		t.Fatal("the entry has no number")
	}

	for round := range 2 {
		u := must[managev1.GetUserResponse](t)(api.users.GetUser(ctx, connect.NewRequest(&managev1.GetUserRequest{UserId: user.UserId})))
		if u.User.GetProfile().GetName() != "Ann Example" {
			t.Fatalf("round %d: user = %v", round, u.User)
		}
		d := must[managev1.GetDeviceResponse](t)(api.devices.GetDevice(ctx, connect.NewRequest(&managev1.GetDeviceRequest{DeviceId: device.DeviceId})))
		if d.Device.GetDevice().GetOwner() != user.UserId {
			t.Fatalf("round %d: device = %v", round, d.Device)
		}
		c := must[managev1.GetCompetitionResponse](t)(api.competitions.GetCompetition(ctx, connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: race.CompetitionId})))
		if n := len(c.Competition.GetEntries()); n != 1 || c.Competition.GetState() == livev1.RaceState_RACE_STATE_UNSPECIFIED {
			t.Fatalf("round %d: competition = %v", round, c.Competition)
		}
		if round == 0 {
			if code := s.stop(); code != 0 {
				t.Fatalf("exit code %d: %s", code, s.out)
			}
			s = serve(t, "--data-dir", data)
			api = manage(t, s, data)
		}
	}
}
