package auth_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path"
	"strings"
	"testing"

	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/gateway/auth"
)

var (
	nobody   = auth.Principal{}
	ann      = auth.Principal{Role: auth.Athlete, ID: "ann"}
	watch    = auth.Principal{Role: auth.Device, ID: "ann/watch"}
	treadmil = auth.Principal{Role: auth.Device, ID: "mill/mill"} // a shared machine
	official = auth.Principal{Role: auth.Operator, ID: "ops", Organization: "default"}
	stranger = auth.Principal{Role: auth.Operator, ID: "other", Organization: "elsewhere"}
)

// TestEveryOperationForEveryRole has one line for each operation: who may, for the resource it says. The order of
// the marks is nobody, athlete, device, operator; "+" may, "-" may not.
func TestEveryOperationForEveryRole(t *testing.T) {
	mine := auth.Resource{Person: "ann", Device: "ann/watch", Public: true, Bound: true, Organization: "default"}
	others := auth.Resource{Person: "bob", Device: "bob/watch", Organization: "elsewhere"}
	tests := []struct {
		op           auth.Operation
		mine, others string
	}{
		{auth.Hello, "++++", "++++"},
		{auth.OpenStream, "-++-", "----"},
		{auth.CloseStream, "-++-", "-++-"}, // the session has only its own streams
		{auth.SendTelemetry, "-++-", "-++-"},
		{auth.SkipSamples, "-++-", "-++-"},
		{auth.StartWorkout, "-++-", "----"},
		{auth.PauseWorkout, "-++-", "----"},
		{auth.ResumeWorkout, "-++-", "----"},
		{auth.MarkLap, "-++-", "----"},
		{auth.FinishWorkout, "-++-", "----"},
		{auth.JoinCompetition, "-++-", "----"},
		{auth.LeaveCompetition, "-++-", "----"},
		{auth.BeReady, "-++-", "----"},
		{auth.React, "----", "----"}, // mine: nobody cheers for himself; the particulars are below
		{auth.WatchBoard, "++++", "----"},
		{auth.WatchRoster, "++++", "----"},
		{auth.WatchPositions, "++++", "----"},
		{auth.WatchEntrantPositions, "-+++", "----"},
		{auth.WatchOfficialPositions, "---+", "----"},
		{auth.WatchFeed, "++++", "----"},
		{auth.WatchWorkout, "-+++", "---+"},
		{auth.WatchInbox, "-+--", "----"},
		{auth.Unwatch, "++++", "++++"},
		{auth.Ping, "++++", "++++"},
		{auth.OfferClock, "-++-", "-++-"},
		{auth.AnswerControl, "-++-", "-++-"},
		{auth.RegisterUser, "---+", "---+"},
		{auth.ReadUser, "-+-+", "---+"},
		{auth.RegisterDevice, "-+-+", "---+"},
		{auth.ClaimDevice, "-+-+", "---+"},
		{auth.ReleaseDevice, "-+-+", "---+"},
		{auth.ReadDevice, "-+++", "---+"},
		{auth.ReadTraining, "-+++", "---+"},
		{auth.CreateCompetition, "---+", "----"},
		{auth.ReadCompetition, "++++", "----"},
		{auth.ListCompetitions, "++++", "++++"},
		{auth.AddEntry, "-+-+", "----"},
		{auth.WithdrawEntry, "---+", "----"},
		{auth.LockStartList, "---+", "----"},
		{auth.StartRace, "---+", "----"},
		{auth.DecideEntry, "---+", "----"},
		{auth.PenalizeEntry, "---+", "----"},
		{auth.PublishProvisional, "---+", "----"},
		{auth.MakeOfficial, "---+", "----"},
		{auth.CorrectResult, "---+", "----"},
		{auth.CancelCompetition, "---+", "----"},
		{auth.ReadResult, "++++", "----"},
		{auth.ExportBundle, "---+", "----"},
		{auth.ReadClock, "++++", "++++"},
		{auth.BackUp, "---+", "---+"},
		{auth.RebuildViews, "---+", "---+"},
		{auth.WatchCluster, "---+", "---+"},
		{auth.RaiseLevel, "---+", "---+"},
	}
	if len(tests) != auth.Operations {
		t.Fatalf("%d operations are tested, there are %d", len(tests), auth.Operations)
	}
	for i, tt := range tests {
		if int(tt.op) != i {
			t.Errorf("line %d is about %v", i, tt.op)
		}
		for j, p := range []auth.Principal{nobody, ann, watch, official} {
			for _, c := range []struct {
				about string
				r     auth.Resource
				want  string
			}{{"mine", mine, tt.mine}, {"another's", others, tt.others}} {
				d := auth.Decide(p, tt.op, c.r)
				if d.Allow != (c.want[j] == '+') {
					t.Errorf("Decide(%v, %v, %s) = %v, want %c", p, tt.op, c.about, d, c.want[j])
				}
				if d.Allow == (d.Reason != "") {
					t.Errorf("Decide(%v, %v, %s) = %v: a refusal has a reason, a consent has none", p, tt.op, c.about, d)
				}
			}
		}
	}
}

func TestDecideParticulars(t *testing.T) {
	tests := []struct {
		name string
		p    auth.Principal
		op   auth.Operation
		r    auth.Resource
		want bool
	}{
		{"another organization's operator, a profile", stranger, auth.ReadUser, auth.Resource{Person: "ann"}, false},
		{"another organization's operator, a workout", stranger, auth.ReadTraining, auth.Resource{Person: "ann"}, false},
		{"another organization's operator, a workout live", stranger, auth.WatchWorkout, auth.Resource{Person: "ann"}, false},
		{"another organization's operator, somebody's device", stranger, auth.ClaimDevice, auth.Resource{Person: "bob", Device: "ann/watch"}, false},
		{"another organization's operator, its own race", stranger, auth.StartRace, auth.Resource{Organization: "elsewhere"}, true},
		{"another organization's operator, a claim", stranger, auth.ReleaseDevice, auth.Resource{Person: "bob", Device: "mill/mill"}, false},
		{"one's own claim on a shared machine", ann, auth.ReleaseDevice, auth.Resource{Person: "ann", Device: "mill/mill"}, true},
		{"somebody else's claim on a shared machine", ann, auth.ReleaseDevice, auth.Resource{Person: "bob", Device: "mill/mill"}, false},
		{"somebody else's claim on one's own device", ann, auth.ReleaseDevice, auth.Resource{Person: "bob", Device: "ann/watch"}, true},
		{"nobody's claim on nobody's device", ann, auth.ReleaseDevice, auth.Resource{}, false},
		{"an athlete on a device of somebody else, for itself", ann, auth.OpenStream, auth.Resource{Device: "bob/watch", Person: "ann"}, false},
		{"an athlete on an own device, for somebody else", ann, auth.OpenStream, auth.Resource{Device: "ann/watch", Person: "bob"}, false},
		{"an athlete on an own device, owner implied", ann, auth.OpenStream, auth.Resource{Device: "ann/watch"}, true},
		{"an athlete on no device", ann, auth.OpenStream, auth.Resource{}, false},
		{"a device as another device", watch, auth.OpenStream, auth.Resource{Device: "ann/other"}, false},
		{"a shared machine for whom it says: the grain knows the claim", treadmil, auth.OpenStream, auth.Resource{Device: "mill/mill", Person: "bob"}, true},
		{"a shared machine starts nobody's workout", treadmil, auth.StartWorkout, auth.Resource{Person: "mill"}, false},
		{"no person is nobody's", treadmil, auth.StartWorkout, auth.Resource{}, false},
		{"an entrant watches a private race", ann, auth.WatchBoard, auth.Resource{Entrant: true}, true},
		{"an operator of another organization", stranger, auth.WatchBoard, auth.Resource{Public: true}, false},
		{"an operator of another organization on its own", stranger, auth.StartRace, auth.Resource{Organization: "elsewhere"}, true},
		{"an athlete enters a private race", ann, auth.AddEntry, auth.Resource{Person: "ann"}, false},
		{"an entrant who rides, among the entrants", ann, auth.WatchEntrantPositions, auth.Resource{Public: true, Entrant: true, Bound: true}, true},
		{"an entrant who does not ride", ann, auth.WatchEntrantPositions, auth.Resource{Public: true, Entrant: true}, false},
		{"an entrant among the officials", ann, auth.WatchOfficialPositions, auth.Resource{Public: true, Entrant: true, Bound: true}, false},
		{"an operator of another organization among the officials", stranger, auth.WatchOfficialPositions, auth.Resource{Public: true}, false},
		{"a spectator cheers whom he may see", ann, auth.React, auth.Resource{Public: true, Person: "bob", Visible: true}, true},
		{"a spectator cheers whom he may not see", ann, auth.React, auth.Resource{Public: true, Person: "bob"}, false},
		{"an entrant cheers in a private race", ann, auth.React, auth.Resource{Entrant: true, Person: "bob", Visible: true}, true},
		{"a spectator cheers in a private race", ann, auth.React, auth.Resource{Person: "bob", Visible: true}, false},
		{"an athlete cheers itself", ann, auth.React, auth.Resource{Public: true, Person: "ann", Visible: true}, false},
		{"an athlete cheers an entry that nobody has", ann, auth.React, auth.Resource{Public: true, Visible: true}, false},
		{"nobody cheers", nobody, auth.React, auth.Resource{Public: true, Person: "bob", Visible: true}, false},
		{"an official cheers", official, auth.React, auth.Resource{Public: true, Person: "bob", Visible: true}, false},
		{"a watch cheers", watch, auth.React, auth.Resource{Public: true, Person: "bob", Visible: true}, false},
		{"a watch reads its owner's inbox", watch, auth.WatchInbox, auth.Resource{Person: "ann"}, false},
		{"an operation that is none", official, auth.Operation(auth.Operations), auth.Resource{}, false},
		{"a role that is none", auth.Principal{Role: auth.Roles, ID: "x"}, auth.Hello, auth.Resource{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := auth.Decide(tt.p, tt.op, tt.r); d.Allow != tt.want {
				t.Errorf("Decide = %v, want %v", d, tt.want)
			}
		})
	}
}

func TestMaySee(t *testing.T) {
	const (
		none     = userv1.Visibility_VISIBILITY_UNSPECIFIED
		public   = userv1.Visibility_VISIBILITY_PUBLIC
		entrants = userv1.Visibility_VISIBILITY_ENTRANTS
		private  = userv1.Visibility_VISIBILITY_PRIVATE
	)
	viewers := []auth.Viewer{{}, {Role: auth.Athlete}, {Role: auth.Athlete, Entrant: true}, {Role: auth.Athlete, Self: true}, {Role: auth.Operator}}
	tests := []struct {
		visibility userv1.Visibility
		minor      bool
		want       string // nobody, athlete, entrant, self, operator
	}{
		{none, false, "---++"}, {none, true, "---++"},
		{public, false, "+++++"}, {public, true, "--+++"},
		{entrants, false, "--+++"}, {entrants, true, "--+++"},
		{private, false, "---++"}, {private, true, "---++"},
	}
	for _, tt := range tests {
		for i, v := range viewers {
			if got := auth.MaySee(v, tt.visibility, tt.minor); got != (tt.want[i] == '+') {
				t.Errorf("MaySee(%+v, %v, minor %v) = %v", v, tt.visibility, tt.minor, got)
			}
		}
	}
}

// nothing imports empty packages.
type nothing struct{}

func (nothing) Import(name string) (*types.Package, error) {
	p := types.NewPackage(name, path.Base(name))
	p.MarkComplete()
	return p, nil
}

// TestForgottenRuleDoesNotCompile adds an operation to the package's source and type-checks it.
func TestForgottenRuleDoesNotCompile(t *testing.T) {
	check := func(forget bool) error {
		files := token.NewFileSet()
		var parsed []*ast.File
		for _, name := range []string{"operation.go", "decide.go"} {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text := string(source)
			if forget {
				text = strings.Replace(text, "\toperations // how many there are", "\tForgotten\n\toperations", 1)
				text = strings.Replace(text, `"read_clock"}`, `"read_clock", "forgotten"}`, 1)
			}
			f, err := parser.ParseFile(files, name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, f)
		}
		var found error
		cfg := types.Config{Importer: nothing{}, Error: func(err error) {
			if strings.Contains(err.Error(), "struct{}") {
				found = err
			}
		}}
		_, _ = cfg.Check("auth", files, parsed, nil) // files and imports are missing: only the arrays' lengths matter
		return found
	}
	if err := check(false); err != nil {
		t.Fatalf("the package as it is does not compile: %v", err)
	}
	if check(true) == nil {
		t.Error("an operation without a rule compiles")
	}
}
