package rest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/lookup"
	"paceline/gateway/rest"
	"paceline/internal/testkit"
	"paceline/persistence/view"
)

// grains answers what each test says and keeps what it was asked.
type grains struct {
	mu     sync.Mutex
	asked  []string
	last   proto.Message
	answer func(to id.Grain, m proto.Message) (proto.Message, error)
}

func (g *grains) Ask(_ context.Context, to id.Grain, m proto.Message) (proto.Message, error) {
	g.mu.Lock()
	g.asked, g.last = append(g.asked, fmt.Sprintf("%v %T", to, m)), m
	g.mu.Unlock()
	if g.answer != nil {
		return g.answer(to, m)
	}
	switch m := m.(type) {
	case *competitionv1.Command:
		return &competitionv1.CommandDone{Version: 5, Entry: 2}, nil
	case *competitionv1.Get:
		if to.ID == "young" {
			return &competitionv1.State{Id: to.ID, Definition: &competitionv1.Definition{Public: true, OrganizationId: "default"}}, nil
		}
		if to.ID == "none" {
			return &competitionv1.State{Id: to.ID}, nil
		}
		if after := m.GetAfterEntry(); to.ID == "large" { // two entries, told one by one
			return &competitionv1.State{Id: to.ID, Definition: &competitionv1.Definition{Public: true, OrganizationId: "default"}, MoreEntries: after == 0,
				Entries: []*competitionv1.EntryState{{Entry: 11 + after/11}}}, nil
		}
		return &competitionv1.State{Id: to.ID, Definition: &competitionv1.Definition{Name: "Regatta"}, Entries: []*competitionv1.EntryState{
			{Entry: 1, UserId: "ann", Training: "ann/w1", ReviewReason: "x"}, {Entry: 2, UserId: "bob", Training: "bob/w2", ReviewReason: "y"}},
			Result: &competitionv1.ResultPublished{Version: 1, Input: []*competitionv1.EntryInput{{Entry: 1, Training: "ann/w1"}}}}, nil
	case *userv1.Get:
		return &userv1.State{UserId: to.ID}, nil
	case *devicev1.Get:
		return &devicev1.State{ClaimedBy: map[string]string{"mill/mill": "ann", "ann/lent": "bob", "mill/bobs": "bob"}[to.ID]}, nil
	case *trainingv1.Get:
		if to.Local() == "none" {
			return &trainingv1.State{Phase: "none"}, nil
		}
		return &trainingv1.State{Started: &trainingv1.Started{}, Phase: "live"}, nil
	}
	return &clusterv1.Ack{Version: 3}, nil
}

// views holds one public and one private race.
type views struct{ view.Reader }

var races = []view.Competition{
	{ID: "open", OrganizationID: "default", Name: "Open", Public: true, State: "running", Entries: 2},
	{ID: "secret", OrganizationID: "default", Name: "Secret", State: "draft"},
}

func (views) Competition(_ context.Context, c string) (view.Competition, bool, error) {
	for _, r := range races {
		if r.ID == c {
			return r, true, nil
		}
	}
	return view.Competition{}, false, nil
}

func (views) Competitions(_ context.Context, q view.CompetitionQuery) ([]view.Competition, string, error) {
	if q.PageToken == "bad" {
		return nil, "", view.ErrPageToken
	}
	return races, "next", nil
}

func (views) EntryOf(_ context.Context, _, user string) (view.RosterEntry, bool, error) {
	return view.RosterEntry{Entry: 1, UserID: user}, user == "ann", nil
}

// WaitFor: the views have taken three events of everybody.
func (views) WaitFor(_ context.Context, _ id.Grain, version uint64) (bool, error) {
	return version <= 3, nil
}

func (views) Result(_ context.Context, c string, version uint32) (view.Result, bool, error) {
	if version > 1 {
		return view.Result{}, false, nil
	}
	if c == "large" {
		b, err := proto.Marshal(&competitionv1.ResultPublished{Version: 4, Parts: 3})
		return view.Result{Competition: c, Version: 4, Bytes: b}, true, err
	}
	b, err := proto.Marshal(&competitionv1.ResultPublished{Version: 1, Rows: []*competitionv1.ResultRow{{Entry: 1, Place: 1}},
		Input: []*competitionv1.EntryInput{{Entry: 1, Training: "ann/w1"}}})
	return view.Result{Competition: c, Version: 1, Bytes: b}, true, err
}

// ResultPart: the result of the large race is three rows, one to a page.
func (views) ResultPart(_ context.Context, c string, version, part uint32) ([]byte, bool, error) {
	if c != "large" || version != 4 || part > 3 {
		return nil, false, nil
	}
	b, err := proto.Marshal(&competitionv1.ResultPublished{Version: 4, Parts: 3, Rows: []*competitionv1.ResultRow{{Entry: 10 + part}},
		Input: []*competitionv1.EntryInput{{Entry: 10 + part}}})
	return b, true, err
}

type exporter struct{}

func (exporter) Export(_ context.Context, c string, w io.Writer) error {
	_, err := w.Write(bytes.Repeat([]byte(c[:1]), 200_000))
	return err
}

type rig struct {
	t      *testing.T
	grains *grains
	keys   *auth.Keys
	url    string
	ready  error
	alive  error
	log    testkit.Log
}

func start(t *testing.T) *rig {
	t.Helper()
	keys, err := auth.NewKeys("test", true, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, grains: &grains{}, keys: keys}
	source := lookup.New(views{}, r.grains)
	var n atomic.Int64
	h := rest.Handler(rest.Deps{
		Calls: r.grains, Views: views{}, Races: source, Export: exporter{}, Backup: backuper{}, Anew: rebuilder{}, Cluster: operating{}, Verify: auth.NewVerifier(keys, "127.0.0.1:1").Verify,
		Clock: func() step.Now {
			now := unit.InstantMs(time.Now().UnixMilli())
			return step.Now{Wall: now, Node: 1_718_462_760_000}
		},
		Rate: 60, NewID: func() string { return fmt.Sprintf("minted-%d", n.Add(1)) },
		Pages: fstest.MapFS{"index.html": {Data: []byte("<p>page</p>")}, "app.js": {Data: []byte("//js")}},
		Ready: func() error { return r.ready }, Alive: func() error { return r.alive }, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rest.NewServer(h)
	served := make(chan struct{})
	go func() { _ = server.Serve(l); close(served) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	r.url = "http://" + l.Addr().String()
	return r
}

func (r *rig) token(subject string) string {
	r.t.Helper()
	if subject == "" {
		return ""
	}
	p, err := auth.ParsePrincipal(subject)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := r.keys.Mint(auth.Grant{Principal: p, Now: time.Now(), Life: time.Hour})
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// do posts a JSON request as curl would and returns status and body.
func (r *rig) do(as, procedure, body string) (int, map[string]any) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+"/paceline.manage.v1."+procedure, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if t := r.token(as); t != "" {
		req.Header.Set("Authorization", "Bearer "+t)
	}
	return r.send(req)
}

func (r *rig) send(req *http.Request) (int, map[string]any) {
	r.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(res.Body).Decode(&out)
	return res.StatusCode, out
}

func TestWhoMayDoWhat(t *testing.T) {
	const command = `{"competitionId":"open","command":{%s}}`
	tests := []struct {
		procedure, body string
		// statuses for nobody, athlete ann, device ann/watch, operator
		want [4]int
	}{
		{"UserService/RegisterUser", `{"profile":{"name":"Ann"}}`, [4]int{401, 403, 403, 200}},
		{"UserService/GetUser", `{"userId":"ann"}`, [4]int{401, 200, 403, 200}},
		{"UserService/GetUser", `{"userId":"bob"}`, [4]int{401, 403, 403, 200}},
		{"DeviceService/RegisterDevice", `{"device":{"owner":"ann"}}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/RegisterDevice", `{"device":{"owner":"bob"}}`, [4]int{401, 403, 403, 200}},
		{"DeviceService/ClaimDevice", `{"deviceId":"mill/mill","personId":"ann"}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/ReleaseDevice", `{"deviceId":"mill/mill"}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/ReleaseDevice", `{"deviceId":"mill/bobs"}`, [4]int{401, 403, 403, 200}},
		{"DeviceService/ReleaseDevice", `{"deviceId":"mill/free"}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/ReleaseDevice", `{"deviceId":"ann/lent"}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/ReleaseDevice", `{"deviceId":"bob/watch"}`, [4]int{401, 200, 403, 200}},
		{"DeviceService/GetDevice", `{"deviceId":"ann/watch"}`, [4]int{401, 200, 200, 200}},
		{"TrainingService/GetTraining", `{"trainingId":"ann/w1"}`, [4]int{401, 200, 200, 200}},
		{"TrainingService/GetTraining", `{"trainingId":"bob/w1"}`, [4]int{401, 403, 403, 200}},
		{"CompetitionService/CreateCompetition", `{"definition":{"name":"x"}}`, [4]int{401, 403, 403, 200}},
		{"CompetitionService/CreateCompetition", `{"definition":{"organizationId":"elsewhere"}}`, [4]int{401, 403, 403, 403}},
		{"CompetitionService/GetCompetition", `{"competitionId":"open"}`, [4]int{200, 200, 200, 200}},
		{"CompetitionService/GetCompetition", `{"competitionId":"secret"}`, [4]int{401, 200, 200, 200}},
		{"CompetitionService/GetCompetition", `{"competitionId":"young"}`, [4]int{200, 200, 200, 200}},
		{"CompetitionService/GetCompetition", `{"competitionId":"none"}`, [4]int{404, 404, 404, 404}},
		{"CompetitionService/ListCompetitions", `{}`, [4]int{200, 200, 200, 200}},
		{"CompetitionService/GetResult", `{"competitionId":"open"}`, [4]int{200, 200, 200, 200}},
		{"CompetitionService/GetResult", `{"competitionId":"open","version":7}`, [4]int{404, 404, 404, 404}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"lock":{}`), [4]int{401, 403, 403, 200}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"start":{}`), [4]int{401, 403, 403, 200}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"addEntry":{"userId":"ann"}`), [4]int{401, 200, 403, 200}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"addEntry":{"userId":"bob"}`), [4]int{401, 403, 403, 200}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"ready":{"userId":"ann"}`), [4]int{401, 200, 200, 403}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"official":{}`), [4]int{401, 403, 403, 200}},
		{"CompetitionService/Command", fmt.Sprintf(command, `"create":{}`), [4]int{400, 400, 400, 400}},
		{"CompetitionService/Command", `{"competitionId":"open"}`, [4]int{400, 400, 400, 400}},
		{"NodeService/GetClock", `{}`, [4]int{200, 200, 200, 200}},
		{"NodeService/GetClusterStatus", `{}`, [4]int{401, 403, 403, 200}},
		{"NodeService/GetClusterStatus", `{"ownerKind":"training","ownerId":"ann/w1"}`, [4]int{401, 403, 403, 200}},
		{"NodeService/GetClusterStatus", `{"ownerKind":"training","ownerId":"w1/x/y"}`, [4]int{401, 403, 403, 400}},
		{"NodeService/GetClusterStatus", `{"ownerKind":"competition"}`, [4]int{401, 403, 403, 400}},
		{"NodeService/RaiseLevel", `{}`, [4]int{401, 403, 403, 200}},
		{"NodeService/RaiseLevel", `{"to":9}`, [4]int{401, 403, 403, 400}},
	}
	r := start(t)
	for _, tt := range tests {
		for i, as := range []string{"", "athlete:ann", "device:ann/watch", "operator:ops"} {
			if got, body := r.do(as, tt.procedure, tt.body); got != tt.want[i] {
				t.Errorf("%s %s as %q = %d %v, want %d", tt.procedure, tt.body, as, got, body, tt.want[i])
			}
		}
	}
}

func TestEveryProcedureOfTheDeclarationIsTried(t *testing.T) {
	tried := "RegisterUser GetUser RegisterDevice ClaimDevice ReleaseDevice GetDevice GetTraining CreateCompetition GetCompetition ListCompetitions Command GetResult ExportBundle GetClock Backup RebuildViews GetClusterStatus RaiseLevel "
	services := managev1.File_paceline_manage_v1_manage_proto.Services()
	for i := range services.Len() {
		methods := services.Get(i).Methods()
		for j := range methods.Len() {
			if name := string(methods.Get(j).Name()); !strings.Contains(tried, name+" ") {
				t.Errorf("no test calls %s", name)
			}
		}
	}
}

func TestCommandsCarryWhoAsks(t *testing.T) {
	r := start(t)
	if status, _ := r.do("operator:ops", "CompetitionService/Command", `{"competitionId":"open","command":{"call":{"commandId":"c1","by":"operator:boss"},"lock":{}}}`); status != 200 {
		t.Fatalf("status = %d", status)
	}
	if c := r.grains.last.(*competitionv1.Command).Call; c.By != "operator:ops" || c.CommandId != "c1" {
		t.Errorf("call = %v: who asks is not the caller's to say", c)
	}
	r.do("operator:ops", "CompetitionService/Command", `{"competitionId":"open","command":{"lock":{}}}`)
	if c := r.grains.last.(*competitionv1.Command).Call; c.CommandId == "" {
		t.Error("a command without an id is not safe to send again")
	}
	if status, _ := r.do("operator:ops", "CompetitionService/Command", `{"competitionId":"open","command":{"call":{"commandId":"a b"},"lock":{}}}`); status != 400 {
		t.Errorf("a malformed command id = %d, want 400", status)
	}
}

func TestPrivateRacesAreLeftOut(t *testing.T) {
	r := start(t)
	count := func(as string) int {
		_, body := r.do(as, "CompetitionService/ListCompetitions", `{"atLeastStream":"competition/open","atLeastVersion":"3"}`)
		list, _ := body["competitions"].([]any)
		return len(list)
	}
	if n := count(""); n != 1 {
		t.Errorf("nobody sees %d races, want 1", n)
	}
	if n := count("operator:ops"); n != 2 {
		t.Errorf("an operator sees %d races, want 2", n)
	}
	if status, _ := r.do("", "CompetitionService/ListCompetitions", `{"pageToken":"bad"}`); status != 400 {
		t.Errorf("a bad page token = %d, want 400", status)
	}
}

func TestEntriesAreRedacted(t *testing.T) {
	r := start(t)
	for as, want := range map[string]string{"": "[ ]", "athlete:ann": "[ann ]", "operator:ops": "[ann bob]"} {
		_, body := r.do(as, "CompetitionService/GetCompetition", `{"competitionId":"open"}`)
		state := body["competition"].(map[string]any)
		var users []string
		for _, e := range state["entries"].([]any) {
			user, _ := e.(map[string]any)["userId"].(string)
			users = append(users, user)
		}
		if got := fmt.Sprint(users); got != want {
			t.Errorf("%q sees %v, want %v", as, got, want)
		}
		result := state["result"].(map[string]any)
		if _, has := result["input"]; has != (as == "operator:ops") {
			t.Errorf("%q sees the input of the result: %v", as, has)
		}
	}
}

// TestALargeFieldIsPaged: page after page of a result and of entries, each once; nobody but officials sees inputs.
func TestALargeFieldIsPaged(t *testing.T) {
	r := start(t)
	pages := func(as, method, list string, of func(body map[string]any) map[string]any) string {
		var got []string
		for token, n := "", 0; n < 9; n++ {
			status, body := r.do(as, "CompetitionService/"+method, fmt.Sprintf(`{"competitionId":"large","pageToken":%q}`, token))
			if status != 200 {
				t.Fatalf("%s page %q = %d", method, token, status)
			}
			for _, row := range of(body)[list].([]any) {
				got = append(got, fmt.Sprint(row.(map[string]any)["entry"]))
			}
			if _, has := of(body)["input"]; has != (as == "operator:ops") && method == "GetResult" {
				t.Errorf("%q sees inputs: %v", as, has)
			}
			if token, _ = body["nextPageToken"].(string); token == "" {
				break
			}
		}
		return strings.Join(got, " ")
	}
	for _, as := range []string{"athlete:ann", "operator:ops"} {
		if got := pages(as, "GetResult", "rows", func(b map[string]any) map[string]any { return b["result"].(map[string]any) }); got != "11 12 13" {
			t.Errorf("%s reads rows %s", as, got)
		}
		if got := pages(as, "GetCompetition", "entries", func(b map[string]any) map[string]any { return b["competition"].(map[string]any) }); got != "11 12" {
			t.Errorf("%s reads entries %s", as, got)
		}
	}
	for token, want := range map[string]int{"4.9": 404, "5.1": 404, "4": 400, "0.1": 400, "x.1": 400, "4.0": 400} {
		if status, _ := r.do("operator:ops", "CompetitionService/GetResult", fmt.Sprintf(`{"competitionId":"large","pageToken":%q}`, token)); status != want {
			t.Errorf("page %q = %d, want %d", token, status, want)
		}
	}
}

func TestTokens(t *testing.T) {
	r := start(t)
	for header, want := range map[string]int{"Bearer nonsense": 401, "Basic YTpi": 401, "Bearer ": 401, "": 200} {
		req, err := http.NewRequest(http.MethodPost, r.url+"/paceline.manage.v1.NodeService/GetClock", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if header != "" {
			req.Header.Set("Authorization", header)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("Authorization %q = %d, want %d", header, res.StatusCode, want)
		}
	}
}

func TestFaultsHaveCodes(t *testing.T) {
	r := start(t)
	for _, tt := range []struct {
		err  error
		want connect.Code
		code string
	}{
		{fault.New(fault.Conflict, "competition.already_running", "It runs."), connect.CodeFailedPrecondition, "competition.already_running"},
		{fault.Later("machine.stopped", "Not now."), connect.CodeUnavailable, "machine.stopped"},
		{fault.New(fault.Exhausted, "x.y", "Too much."), connect.CodeResourceExhausted, "x.y"},
		{errors.New("disk on fire"), connect.CodeInternal, "internal"},
		{context.DeadlineExceeded, connect.CodeUnavailable, "rest.deadline"},
	} {
		r.grains.answer = func(id.Grain, proto.Message) (proto.Message, error) { return nil, tt.err }
		client := managev1.NewTrainingServiceClient(http.DefaultClient, r.url)
		req := connect.NewRequest(&managev1.GetTrainingRequest{TrainingId: "ann/w1"})
		req.Header().Set("Authorization", "Bearer "+r.token("athlete:ann"))
		_, err := client.GetTraining(context.Background(), req)
		var got *connect.Error
		if !errors.As(err, &got) || got.Code() != tt.want || strings.Contains(got.Message(), "fire") {
			t.Errorf("%v shows as %v, want %v", tt.err, err, tt.want)
			continue
		}
		detail, err := got.Details()[0].Value()
		if f, ok := detail.(*clusterv1.Fault); err != nil || !ok || f.Code != tt.code {
			t.Errorf("%v: detail %v, want code %s", tt.err, detail, tt.code)
		}
	}
}

func TestGRPCAndStreamedExport(t *testing.T) {
	r := start(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for name, options := range map[string][]connect.ClientOption{"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}, "connect": nil, "json": {connect.WithProtoJSON()}} {
		t.Run(name, func(t *testing.T) {
			httpClient := &http.Client{Transport: transport}
			clock, err := managev1.NewNodeServiceClient(httpClient, r.url, options...).GetClock(context.Background(), connect.NewRequest(&managev1.GetClockRequest{}))
			if err != nil || clock.Msg.NowMs != 1_718_462_760_000 || clock.Msg.Rate != 60 {
				t.Fatalf("GetClock = %v, %v", clock, err)
			}
			client := managev1.NewCompetitionServiceClient(httpClient, r.url, options...)
			req := connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: "open"})
			stream, err := client.ExportBundle(context.Background(), req)
			if err != nil {
				t.Fatal(err)
			}
			for stream.Receive() {
				t.Error("nobody gets a bundle")
			}
			if connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
				t.Errorf("ExportBundle as nobody = %v", stream.Err())
			}
			req = connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: "open"})
			req.Header().Set("Authorization", "Bearer "+r.token("operator:ops"))
			if stream, err = client.ExportBundle(context.Background(), req); err != nil {
				t.Fatal(err)
			}
			size := 0
			for stream.Receive() {
				size += len(stream.Msg().Chunk)
			}
			if stream.Err() != nil || size != 200_000 {
				t.Errorf("the bundle has %d bytes, %v", size, stream.Err())
			}
		})
	}
}

// backuper is a store of 200,000 bytes.
type backuper struct{}

func (backuper) Backup(_ context.Context, w io.Writer) error {
	_, err := w.Write(make([]byte, 200_000))
	return err
}

// TestBackupIsForOperators: all that is stored, so nobody else gets a byte of it.
func TestBackupIsForOperators(t *testing.T) {
	r := start(t)
	for who, want := range map[string]int{"": 0, "athlete:ann": 0, "device:ann/watch": 0, "operator:ops": 200_000} {
		req := connect.NewRequest(&managev1.BackupRequest{})
		if who != "" {
			req.Header().Set("Authorization", "Bearer "+r.token(who))
		}
		stream, err := managev1.NewNodeServiceClient(http.DefaultClient, r.url).Backup(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for stream.Receive() {
			size += len(stream.Msg().Chunk)
		}
		if size != want || (stream.Err() == nil) != (want > 0) {
			t.Errorf("%q gets %d bytes and %v", who, size, stream.Err())
		}
	}
}

func TestPagesAndHealth(t *testing.T) {
	r := start(t)
	get := func(path string) (int, string, http.Header) {
		res, err := http.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b), res.Header
	}
	for path, want := range map[string]string{"/": "<p>page</p>", "/app.js": "//js", "/race/42": "<p>page</p>", "/../../etc/passwd": "<p>page</p>", "/healthz": "ok\n", "/livez": "ok\n", "/readyz": "ready\n"} {
		if status, body, _ := get(path); status != 200 || body != want {
			t.Errorf("%s = %d %q, want %q", path, status, body, want)
		}
	}
	if status, _, _ := get("/missing.css"); status != 404 {
		t.Errorf("/missing.css = %d, want 404", status)
	}
	if _, _, h := get("/"); h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'self'") {
		t.Errorf("headers = %v", h)
	}
	r.alive = fault.New(fault.Internal, "node.members_stuck", "What follows the members has stopped.").With("for 31s")
	for _, path := range []string{"/livez", "/healthz"} {
		if status, body, _ := get(path); status != 503 || body != "node.members_stuck: What follows the members has stopped. (for 31s)\n" {
			t.Errorf("%s = %d %q, want 503 and why", path, status, body)
		}
	}
	r.ready = fault.Later("node.starting", "This node is starting.")
	if status, body, _ := get("/readyz"); status != 503 || body != "node.starting: This node is starting.\n" {
		t.Errorf("/readyz = %d %q, want 503", status, body)
	}
}

func TestBadRequests(t *testing.T) {
	r := start(t)
	for _, tt := range []struct {
		procedure, body string
		want            int
		code            string
	}{
		{"UserService/GetUser", `{"userId":`, 400, "rest.malformed"},
		{"UserService/GetUser", `{`, 400, "rest.malformed"},
		{"UserService/GetUser", ``, 400, "rest.malformed"},
		{"UserService/GetUser", `[]`, 400, "rest.malformed"},
		{"UserService/GetUser", "{\"userId\":\"\xff\"}", 400, "rest.malformed"},
		{"UserService/GetUser", `{"userId":"a b"}`, 400, "id.malformed"},
		{"UserService/RegisterUser", `{}`, 400, "rest.missing"},
		{"DeviceService/RegisterDevice", `{"deviceId":"watch","device":{"owner":"ann"}}`, 400, "id.malformed"},
		{"DeviceService/ClaimDevice", `{"deviceId":"mill/mill","personId":"ann","untilMs":"NaN"}`, 400, "rest.malformed"},
		{"DeviceService/ClaimDevice", `{"deviceId":"mill/mill","personId":"ann","untilMs":1e30}`, 400, "rest.malformed"},
		{"DeviceService/ClaimDevice", `{"deviceId":"mill/mill","personId":"ann","untilMs":0.5}`, 400, "rest.malformed"},
		{"TrainingService/GetTraining", `{"trainingId":"w1"}`, 400, "id.malformed"},
		{"TrainingService/GetTraining", `{"trainingId":"ann/none"}`, 404, "training.not_found"},
		{"CompetitionService/CreateCompetition", `{}`, 400, "rest.missing"},
		{"CompetitionService/GetCompetition", `{"competitionId":"../x"}`, 400, "id.malformed"},
		{"CompetitionService/CreateCompetition", `{"definition":{"name":"` + strings.Repeat("x", 5<<20) + `"}}`, 429, "rest.too_large"},
		{"CompetitionService/CreateCompetition", strings.Repeat(`{"definition":`, 20_000), 400, "rest.malformed"},
		{"CompetitionService/ListCompetitions", `{"pageSize":-1}`, 400, "rest.malformed"},
		{"CompetitionService/ListCompetitions", `{"pageSize":1e30}`, 400, "rest.malformed"},
		{"CompetitionService/ListCompetitions", `{"pageSize":NaN}`, 400, "rest.malformed"},
		{"CompetitionService/ListCompetitions", `{"pageToken":"bad"}`, 400, "view.page_token"},
		{"CompetitionService/Teleport", `{}`, 404, ""}, // no procedure, so no protocol that an answer could be in
	} {
		got, body := r.do("operator:ops", tt.procedure, tt.body)
		if f := faultOf(body); got != tt.want || f.GetCode() != tt.code || tt.code != "" && f.GetMessage() == "" {
			t.Errorf("%s %.60q = %d %v, want %d %s", tt.procedure, tt.body, got, body, tt.want, tt.code)
		}
		spoken(t, tt.procedure, body)
	}
	r.grains.answer = func(id.Grain, proto.Message) (proto.Message, error) { panic("kaboom") }
	if got, body := r.do("operator:ops", "UserService/GetUser", `{"userId":"ann"}`); got != 500 || faultOf(body).GetCode() != "internal" || strings.Contains(fmt.Sprint(body), "kaboom") {
		t.Errorf("a panic = %d %v, want 500 and nothing of it", got, body)
	}
}
