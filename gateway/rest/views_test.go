package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/fault"
)

// TestAtLeast: every RPC that reads views waits for the version that its caller names, and says so if it does not come.
func TestAtLeast(t *testing.T) {
	r := start(t)
	for _, procedure := range []string{"CompetitionService/ListCompetitions", "CompetitionService/GetResult"} {
		for _, tt := range []struct {
			ask    string
			status int
			code   string
		}{
			{`"atLeastStream":"competition/open","atLeastVersion":"3"`, 200, ""},
			{`"atLeastStream":"competition/open","atLeastVersion":"4"`, 503, "view.behind"},
			{`"atLeastStream":"training/ann/w1","atLeastVersion":"4"`, 503, "view.behind"},
			{`"atLeastStream":"competition/open"`, 400, "view.at_least"},
			{`"atLeastVersion":"3"`, 400, "view.at_least"},
			{`"atLeastStream":"open","atLeastVersion":"3"`, 400, "id.malformed"},
			{`"atLeastStream":"nonsense/open","atLeastVersion":"3"`, 400, "id.malformed"},
		} {
			body := `{"competitionId":"open",` + tt.ask + `}`
			if procedure == "CompetitionService/ListCompetitions" {
				body = `{` + tt.ask + `}`
			}
			status, answer := r.do("operator:ops", procedure, body)
			if code := codeOf(answer); status != tt.status || code != tt.code {
				t.Errorf("%s %s = %d %s, want %d %s", procedure, tt.ask, status, code, tt.status, tt.code)
			}
		}
	}
}

// codeOf is the stable code in the detail of an error.
func codeOf(answer map[string]any) string {
	details, _ := answer["details"].([]any)
	for _, d := range details {
		debug, _ := d.(map[string]any)["debug"].(map[string]any)
		if code, ok := debug["code"].(string); ok {
			return code
		}
	}
	return ""
}

var errNoSuchViews = fault.New(fault.Invalid, "views.unknown", "There are no such views.")

type rebuilder struct{}

func (rebuilder) Rebuild(_ context.Context, views string, eachSecond int, tell func(string, uint64)) error {
	if views != "people" {
		return errNoSuchViews
	}
	tell("building", 0)
	tell("done", uint64(eachSecond))
	return nil
}

// TestRebuildIsForOperators: it costs work, so nobody else may ask for it.
func TestRebuildIsForOperators(t *testing.T) {
	r := start(t)
	for who, want := range map[string]string{"": "[]", "athlete:ann": "[]", "device:ann/watch": "[]", "operator:ops": "[building 0 done 7]"} {
		req := connect.NewRequest(&managev1.RebuildViewsRequest{Views: "people", Rate: 7})
		if who != "" {
			req.Header().Set("Authorization", "Bearer "+r.token(who))
		}
		stream, err := managev1.NewNodeServiceClient(http.DefaultClient, r.url).RebuildViews(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		said := []any{}
		for stream.Receive() {
			said = append(said, stream.Msg().Phase, stream.Msg().Grains)
		}
		if got := fmt.Sprint(said); got != want || (stream.Err() == nil) != (want != "[]") {
			t.Errorf("%q hears %v, %v; want %v", who, got, stream.Err(), want)
		}
	}
}
