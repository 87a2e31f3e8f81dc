package archtest

import (
	"strings"
	"testing"
)

// A rule that nothing can break is no rule: each is shown a breach here and must see it.

func TestCheckArrow(t *testing.T) {
	tests := []struct {
		from, imported string
		inTest, ok     bool
	}{
		{"domain/rank", "paceline/domain/unit", false, true},
		{"domain/rank", "paceline/actors/competition", false, false},
		{"domain/rank", "math/bits", false, true},
		{"domain/rank", "context", false, false},
		{"domain/rank", "net/http", false, false},
		{"domain/rank", "math/rand/v2", false, false},
		{"domain/rank", "log/slog", false, false},
		{"domain/rank", "os", true, true},
		{"domain/rank", "google.golang.org/protobuf/proto", false, false},
		{"domain/rank", "pgregory.net/rapid", true, true},
		{"domain/rank", "pgregory.net/rapid", false, false},
		{"actors/competition", "paceline/actors/leaderboard", false, true},
		{"actors/competition", "paceline/domain/rank", false, true},
		{"actors/competition", "paceline/internal/obs", false, false},
		{"actors/competition", "sync", false, false},
		{"actors/competition", "paceline/api/gen/paceline/competition/v1", false, false},
		{"actors/competition", "paceline/actors/competition/competitioncodec", false, false},
		{"actors/competition/competitioncodec", "paceline/api/gen/paceline/competition/v1", false, true},
		{"actors/competition/competitioncodec", "paceline/persistence", false, false},
		{"actors/competition/competitiongrain", "paceline/actors/machine", false, true},
		{"actors/competition/competitiongrain", "paceline/actors/training/trainingcodec", false, true},
		{"actors/competition/competitiongrain", "paceline/actors/training/traininggrain", false, false},
		{"actors/competition/competitiongrain", "paceline/cluster/call", false, false},
		{"actors/competition/competitiongrain", "paceline/persistence/embedded", false, false},
		{"actors/competition/competitiongrain", "paceline/persistence/memory", false, false},
		{"actors/competition/competitiongrain", "paceline/persistence/memory", true, true},
		{"actors/competition/competitiongrain", protoActor + "/actor", false, true},
		{"actors/competition/somethingelse", "fmt", false, false},
		{"actors/machine", "paceline/persistence", false, true},
		{"actors/machine", "paceline/api/gen/paceline/live/v1", false, false},
		{"actors/machine", protoActor + "/actor", false, false},
		{"cluster/call", "paceline/actors/device", false, false},
		{"cluster/placement", "paceline/cluster/gossip", false, true},
		{"gateway/session", "paceline/actors/device", false, false},
		{"gateway/session", "paceline/persistence/view", false, true},
		{"gateway/session", "paceline/persistence", false, false},
		{"gateway/session", "paceline/persistence/embedded", false, false},
		{"gateway/session", "paceline/cluster/call", false, true},
		{"gateway/rest", "github.com/coder/websocket", false, false},
		{"gateway/ws", "github.com/coder/websocket", false, true},
		{"persistence/embedded", "paceline/actors/device", false, false},
		{"persistence/embedded", "github.com/cockroachdb/pebble/v2", false, true},
		{"persistence/memory", "github.com/cockroachdb/pebble/v2", false, false},
		{"persistence/sealed", "paceline/persistence/embedded", true, true},
		{"persistence/sealed", "paceline/persistence/embedded", false, false},
		{"pipeline/project", "paceline/actors/competition/competitioncodec", false, true},
		{"pipeline/project", "paceline/actors/competition/competitiongrain", false, false},
		{"api/live", "paceline/api/gen/paceline/live/v1", false, true},
		{"api/live", "paceline/gateway/wire", false, false},
		{"internal/obs", "paceline/domain/fault", false, false},
		{"simulations/oracle", "paceline/domain/unit", false, true},
		{"simulations/oracle", "math/big", false, true},
		{"simulations/oracle", "paceline/domain/geo", false, false},
		{"simulations/world", "paceline/actors/device/devicegrain", false, true},
		{"simulations/world", protoActor + "/actor", false, false},
		{"simulations/swarm", "paceline/cmd/node", false, false},
		{"gateway/hub", "paceline/simulations/world", false, false},
		{"cmd/node", "paceline/persistence/embedded", false, true},
		{"cmd/node", "paceline/simulations/swarm", false, true},
		{"helpers", "fmt", false, false},
	}
	for _, tt := range tests {
		err := checkArrow(tt.from, tt.imported, tt.inTest)
		if (err == nil) != tt.ok {
			t.Errorf("checkArrow(%s → %s, test %v) = %v, want allowed %v", tt.from, tt.imported, tt.inTest, err, tt.ok)
		}
	}
}

func TestCheckFile(t *testing.T) {
	long := strings.Repeat("\tx++\n", maxFuncLines)
	table := "var rows = []int{\n" + strings.Repeat("\t1,\n", maxFuncLines) + "}\n_ = rows\n"
	tests := []struct {
		name, rel, src string
		want           string // part of the finding; empty: none
	}{
		{"a rule reads the clock", "actors/race/race.go", "package race\nimport \"time\"\nvar x = time.Now()\n", "time.Now"},
		{"a rule knows a duration", "actors/race/race.go", "package race\nimport \"time\"\nvar x = time.Second\n", ""},
		{"a renamed clock", "domain/geo/geo.go", "package geo\nimport clock \"time\"\nvar x = clock.Since\n", "time.Since"},
		{"a rule's goroutine", "domain/geo/geo.go", "package geo\nfunc f() { go f() }\n", "goroutine"},
		{"a rule prints", "domain/geo/geo.go", "package geo\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", "fmt.Println"},
		{"a step file knows the runtime", "actors/race/racegrain/step.go",
			"package racegrain\nimport _ \"" + protoActor + "/actor\"\n", "without a runtime"},
		{"another protocol file too", "actors/race/racegrain/effects.go", "package racegrain\nimport _ \"net/http\"\n", "without a runtime"},
		{"the carrier may", "actors/race/racegrain/grain.go", "package racegrain\nimport _ \"" + protoActor + "/actor\"\n", ""},
		{"a rule switched off", "cmd/node/main.go", "package main\nimport \"paceline/domain/step\"\nvar x = step.SwitchOff\n", "only tests"},
		{"a test may", "actors/race/race_test.go", "package race\nimport \"paceline/domain/step\"\nvar x = step.SwitchOff\n", ""},
		{"a racy timer", "actors/race/racegrain/grain.go", "package racegrain\nfunc f(c x) { c.SetReceiveTimeout(1) }\n", "SetReceiveTimeout"},
		{"the machine's driver", "actors/machine/append.go", "package machine\nimport _ \"sync\"\n", "without a runtime"},
		{"the machine's clock", "actors/machine/append.go", "package machine\nimport \"time\"\nvar x = time.Now\n", "time.Now"},
		{"the machine's carrier", "actors/machine/carrier.go", "package machine\nimport _ \"sync\"\n", ""},
		{"session is protocol", "gateway/session/step.go", "package session\nimport _ \"paceline/cluster/call\"\n", "without a runtime"},
		{"a hub's socket", "gateway/hub/hub.go", "package hub\nimport _ \"github.com/coder/websocket\"\n", "without a runtime"},
		{"ws is a socket", "gateway/ws/conn.go", "package ws\nimport _ \"github.com/coder/websocket\"\n", ""},
		{"a sleeping test", "gateway/ws/conn_test.go", "package ws\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", "time.Sleep"},
		{"the environment", "gateway/ws/conn.go", "package ws\nimport \"os\"\nvar x = os.Getenv(\"A\")\n", "os.Getenv"},
		{"a long function", "gateway/ws/conn.go", "package ws\nfunc f(x int) {\n" + long + "}\n", "the limit is 120"},
		{"a long test", "gateway/ws/conn_test.go", "package ws\nfunc f(x int) {\n" + long + "}\n", "the limit is 120"},
		{"a long table", "gateway/ws/conn_test.go", "package ws\nfunc f() {\n" + table + "}\n", ""},
		{"a long file", "gateway/ws/conn.go", "package ws\n" + strings.Repeat("// line\n", maxFileLines), "the limit is 600"},
		{"generated", "gateway/ws/gen.go", "// Code generated by x. DO NOT EDIT.\npackage ws\n" + strings.Repeat("// line\n", maxFileLines), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := checkFile(tt.rel, []byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(found) > 0 {
				t.Fatalf("checkFile found %v, want nothing", found)
			}
			if tt.want != "" && (len(found) != 1 || !strings.Contains(found[0].what, tt.want)) {
				t.Fatalf("checkFile found %v, want one about %q", found, tt.want)
			}
		})
	}
}
