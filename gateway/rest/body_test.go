package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/gateway/rest"
)

// faultOf is the fault in the details of a JSON answer's error.
func faultOf(body map[string]any) *clusterv1.Fault {
	details, _ := body["details"].([]any)
	for _, d := range details {
		m, _ := d.(map[string]any)
		debug, _ := m["debug"].(map[string]any)
		code, _ := debug["code"].(string)
		message, _ := debug["message"].(string)
		detail, _ := debug["detail"].(string)
		if m["type"] == "paceline.cluster.v1.Fault" {
			return &clusterv1.Fault{Code: code, Message: message, Detail: detail}
		}
	}
	return nil
}

// spoken is what an answer must never say: it is about our code, not about the request.
func spoken(t *testing.T, what string, answer any) {
	t.Helper()
	for _, word := range []string{"managev1", "Request:", "*", "unmarshal", "proto:", "configured max", "gzip:", "flate"} {
		if said := fmt.Sprint(answer); strings.Contains(said, word) {
			t.Errorf("%s: the answer speaks of %q: %s", what, word, said)
		}
	}
}

// asIs is a codec that sends what it is told instead of the message.
type asIs struct {
	name string
	body []byte
}

func (c asIs) Name() string                { return c.name }
func (c asIs) Marshal(any) ([]byte, error) { return c.body, nil }
func (c asIs) Unmarshal(b []byte, m any) error {
	return proto.Unmarshal(b, m.(proto.Message))
}

// TestEveryProtocolSaysWhatIsWrongWithABody: Connect, gRPC and gRPC-Web, plain and compressed, an answer and a stream.
func TestEveryProtocolSaysWhatIsWrongWithABody(t *testing.T) {
	r := start(t)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	large, err := proto.Marshal(&managev1.ExportBundleRequest{CompetitionId: strings.Repeat("x", 5<<20)})
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]struct {
		codec string
		body  []byte
		want  *connect.Error
		code  string
	}{
		"protobuf that ends early":  {"proto", []byte{0x0a, 0x20, 'x'}, connect.NewError(connect.CodeInvalidArgument, nil), rest.ErrMalformed.Code},
		"protobuf that is no UTF-8": {"proto", []byte{0x0a, 0x01, 0xff}, connect.NewError(connect.CodeInvalidArgument, nil), rest.ErrMalformed.Code},
		"JSON that ends early":      {"json", []byte(`{`), connect.NewError(connect.CodeInvalidArgument, nil), rest.ErrMalformed.Code},
		"JSON of another type":      {"json", []byte(`{"competitionId":7}`), connect.NewError(connect.CodeInvalidArgument, nil), rest.ErrMalformed.Code},
		"too large":                 {"proto", large, connect.NewError(connect.CodeResourceExhausted, nil), rest.ErrTooLarge.Code},
	}
	protocols := map[string][]connect.ClientOption{
		"connect":        nil,
		"connect, gzip":  {connect.WithSendGzip()},
		"gRPC":           {connect.WithGRPC()},
		"gRPC, gzip":     {connect.WithGRPC(), connect.WithSendGzip()},
		"gRPC-Web":       {connect.WithGRPCWeb()},
		"gRPC-Web, gzip": {connect.WithGRPCWeb(), connect.WithSendGzip()},
	}
	for protocol, options := range protocols {
		for name, b := range bodies {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				client := managev1.NewCompetitionServiceClient(&http.Client{Transport: transport}, r.url,
					append([]connect.ClientOption{connect.WithCodec(asIs{b.codec, b.body})}, options...)...)
				_, err := client.GetCompetition(context.Background(), connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: "x"}))
				wantFault(t, err, b.want.Code(), b.code)
				stream, err := client.ExportBundle(context.Background(), connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: "x"}))
				if err == nil {
					for stream.Receive() {
						t.Error("something came")
					}
					err = stream.Err()
				}
				wantFault(t, err, b.want.Code(), b.code)
			})
		}
	}
	if len(r.grains.asked) > 0 {
		t.Errorf("grains were asked: %v", r.grains.asked)
	}
}

func wantFault(t *testing.T, err error, status connect.Code, code string) {
	t.Helper()
	var got *connect.Error
	if !errors.As(err, &got) || got.Code() != status {
		t.Errorf("answer = %v, want %v", err, status)
		return
	}
	spoken(t, code, got.Message())
	if len(got.Details()) != 1 {
		t.Errorf("answer = %v without a fault, want %s", err, code)
		return
	}
	detail, err := got.Details()[0].Value()
	f, ok := detail.(*clusterv1.Fault)
	if err != nil || !ok || f.Code != code || f.Message == "" {
		t.Errorf("detail = %v, want code %s", detail, code)
		return
	}
	spoken(t, code, f.Detail)
}

// TestWhatIsNotCompressedAsItSays: a body that is no gzip, or one that is cut.
func TestWhatIsNotCompressedAsItSays(t *testing.T) {
	r := start(t)
	for name, body := range map[string][]byte{"text": []byte(`{}`), "cut": {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0xaa}} {
		req, err := http.NewRequest(http.MethodPost, r.url+"/paceline.manage.v1.NodeService/GetClock", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Content-Encoding", "gzip")
		status, answer := r.send(req)
		if f := faultOf(answer); status != 400 || f.GetCode() != rest.ErrMalformed.Code {
			t.Errorf("%s = %d %v, want %s", name, status, answer, rest.ErrMalformed.Code)
		}
		spoken(t, name, answer)
	}
}

// TestABodyWithoutAnEndIsCutOff: no more than the limit is kept, and not for ever is the rest read.
func TestABodyWithoutAnEndIsCutOff(t *testing.T) {
	r := start(t)
	endless := &repeat{}
	req, err := http.NewRequest(http.MethodPost, r.url+"/paceline.manage.v1.CompetitionService/ListCompetitions", endless)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err == nil { // the answer may be lost with the connection that the client would not stop writing to
		if res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("status = %d, want 429", res.StatusCode)
		}
		_ = res.Body.Close()
	}
	if code, _ := r.do("", "NodeService/GetClock", `{}`); code != 200 {
		t.Errorf("the next one = %d", code)
	}
}

// repeat never ends by itself; the client stops when nobody reads.
type repeat struct{}

func (*repeat) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}
