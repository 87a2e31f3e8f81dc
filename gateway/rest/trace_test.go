package rest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
	"paceline/gateway/rest"
	"paceline/gateway/trace"
)

const (
	named  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent = "00-" + named + "-00f067aa0ba902b7-01"
)

// TestACommandHasATrace: the one that the client names, else a new one; the answer says which.
func TestACommandHasATrace(t *testing.T) {
	r := start(t)
	register := func(parent string) (answered, asked string) {
		t.Helper()
		req := connect.NewRequest(&managev1.RegisterUserRequest{UserId: "ann", Profile: &userv1.Profile{Handle: "ann"}})
		req.Header().Set("Authorization", "Bearer "+r.token("operator:ops"))
		req.Header().Set("Traceparent", parent)
		answer, err := managev1.NewUserServiceClient(http.DefaultClient, r.url).RegisterUser(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Header().Get(trace.ID), call.TraceOf(r.grains.last)
	}
	if answered, asked := register(parent); answered != named || asked != named {
		t.Errorf("the answer names %q, the grain is asked with %q, want %q", answered, asked, named)
	}
	one, asked := register("00-tomorrow")
	if len(one) != len(named) || asked != one {
		t.Errorf("the answer names %q, the grain is asked with %q, want a new one", one, asked)
	}
	if two, _ := register(""); two == one {
		t.Errorf("two requests are both %q", two)
	}
}

// TestARefusalHasATrace: every answer names it, also those of requests that nobody can read; of our own mistake the fault
// and the log do.
func TestARefusalHasATrace(t *testing.T) {
	r := start(t)
	r.grains.answer = func(id.Grain, proto.Message) (proto.Message, error) { return nil, errors.New("disk on fire") }
	get := func(token string, options ...connect.ClientOption) (*connect.Error, *clusterv1.Fault) {
		t.Helper()
		req := connect.NewRequest(&managev1.GetUserRequest{UserId: "ann"})
		req.Header().Set("Authorization", token)
		req.Header().Set("Traceparent", parent)
		_, err := managev1.NewUserServiceClient(http.DefaultClient, r.url, options...).GetUser(context.Background(), req)
		var got *connect.Error
		if !errors.As(err, &got) {
			t.Fatal(err)
		}
		detail, err := got.Details()[0].Value()
		if err != nil {
			t.Fatal(err)
		}
		return got, detail.(*clusterv1.Fault)
	}
	if err, f := get("Basic x"); err.Meta().Get(trace.ID) != named || f.Detail != "" {
		t.Errorf("without a token: %v, %v", err.Meta(), f)
	}
	if log := r.log.String(); log != "" {
		t.Errorf("logged %s", log)
	}
	for name, options := range map[string][]connect.ClientOption{"connect": nil, "grpc-web": {connect.WithGRPCWeb()}} {
		if err, f := get("Bearer "+r.token("operator:ops"), options...); err.Meta().Get(trace.ID) != named || f.Detail != "trace "+named {
			t.Errorf("%s: our mistake: %v, %v", name, err.Meta(), f)
		}
	}
	if log := r.log.String(); strings.Count(log, "trace="+named) != 2 || !strings.Contains(log, "disk on fire") {
		t.Errorf("logged %s", log)
	}

	req, err := http.NewRequest(http.MethodPost, r.url+"/paceline.manage.v1.UserService/GetUser", strings.NewReader("not gzip"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Traceparent", parent)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := res.Header.Get(trace.ID); res.StatusCode != http.StatusBadRequest || got != named {
		t.Errorf("%s (want %s): %s, trace %q", rest.ErrMalformed.Code, named, res.Status, got)
	}
}
