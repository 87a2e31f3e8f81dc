package obs

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRegistryIsScraped(t *testing.T) {
	var r Registry
	n := int64(41)
	r.Counter("paceline_b_total", "Counts.", func() int64 { n++; return n })
	r.Gauge("paceline_a", "Goes up and down.", func() float64 { return 0.5 })
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	want := "# HELP paceline_a Goes up and down.\n# TYPE paceline_a gauge\npaceline_a 0.5\n" +
		"# HELP paceline_b_total Counts.\n# TYPE paceline_b_total counter\npaceline_b_total 42\n"
	if got := w.Body.String(); got != want {
		t.Fatalf("ServeHTTP() =\n%s\nwant\n%s", got, want)
	}
}

func TestNewLog(t *testing.T) {
	var b bytes.Buffer
	l, err := NewLog(&b, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	l.Info("quiet")
	l.Warn("loud", "grain", "user/ann")
	if s := b.String(); strings.Contains(s, "quiet") || !strings.Contains(s, `"grain":"user/ann"`) {
		t.Fatalf("log = %q", s)
	}
	if _, err := NewLog(&b, "xml", "info"); err == nil {
		t.Fatal("format xml is accepted")
	}
	if _, err := NewLog(&b, "text", "shout"); err == nil {
		t.Fatal("level shout is accepted")
	}
}
