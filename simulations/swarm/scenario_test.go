package swarm

import (
	"path/filepath"
	"testing"
	"time"

	"paceline/domain/sample"
)

func TestScenariosAreValid(t *testing.T) {
	files, err := filepath.Glob("scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		s, err := ReadScenario(f)
		if err != nil || s.Name+".json" != filepath.Base(f) {
			t.Errorf("%s: %q, %v", f, s.Name, err)
		}
	}
	for _, bad := range []Scenario{{}, {Devices: 1, Seconds: 5, Hz: 1}, {Devices: 1, Seconds: 60, Hz: 11}, {Devices: 1, Seconds: 60, Hz: 1, Abandon: 1}} {
		if bad.validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestFinerGoesOnEvenly(t *testing.T) {
	b := counted(gun, 0, 1000, 3000)
	f := finer(b, 4)
	want := []int64{0, 250, 500, 750, 1000, 1500, 2000, 2500, 3000, 3000, 3000, 3000}
	if f.Len() != len(want) || f.FirstSeq != 1 {
		t.Fatalf("%d samples from %d", f.Len(), f.FirstSeq)
	}
	for i, w := range want {
		if v, ok := f.Value(sample.DistanceMm, i); !ok || v != w || int64(f.AtMs[i]-gun) != int64(250*i) {
			t.Errorf("sample %d: %d mm at %d, want %d", i, v, f.AtMs[i]-gun, w)
		}
	}
}

func TestReportJudges(t *testing.T) {
	l := newLatencies()
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	r := &Report{Scenario: Scenario{StormAt: 5, Devices: 10, Objectives: Objectives{AckP99Ms: 995, BoardP99Ms: 1, MinSamplesPS: 10, MaxReconnects: -1}},
		Ack: l.spread(), Board: l.spread(), SamplesPS: 9, Reconnects: 10}
	r.judge()
	got := ""
	for _, o := range r.Objectives {
		if o.OK {
			got += "+"
		} else {
			got += "-"
		}
	}
	if got != "+--+" || r.OK() {
		t.Errorf("%s: %+v", got, r.Objectives)
	}
	r.add(&Report{Checks: []Check{{"a", true, "x"}}})
	r.add(&Report{Checks: []Check{{"a", false, "y"}}})
	r.add(&Report{Checks: []Check{{"a", true, "z"}}})
	if len(r.Checks) != 1 || r.Checks[0].OK || r.Checks[0].Detail != "x; y" {
		t.Errorf("%+v", r.Checks)
	}
}
