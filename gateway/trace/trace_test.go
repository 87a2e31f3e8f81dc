package trace_test

import (
	"net/http"
	"strings"
	"testing"

	"paceline/gateway/trace"
)

const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

func TestFrom(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"none":                    {},
		"empty":                   {headers: []string{""}},
		"W3C's own example":       {[]string{"00-" + id + "-" + parent + "-01"}, id},
		"flags of later":          {[]string{"00-" + id + "-" + parent + "-ff"}, id},
		"a later version":         {[]string{"01-" + id + "-" + parent + "-01"}, id},
		"one that says more":      {[]string{"cc-" + id + "-" + parent + "-01-what-comes"}, id},
		"more of version 0":       {headers: []string{"00-" + id + "-" + parent + "-01-what"}},
		"more without a border":   {headers: []string{"cc-" + id + "-" + parent + "-01.what"}},
		"the version that is not": {headers: []string{"ff-" + id + "-" + parent + "-01"}},
		"two of them":             {headers: []string{"00-" + id + "-" + parent + "-01", "00-" + id + "-" + parent + "-01"}},
		"no trace":                {headers: []string{"00-" + strings.Repeat("0", 32) + "-" + parent + "-01"}},
		"no parent":               {headers: []string{"00-" + id + "-" + strings.Repeat("0", 16) + "-01"}},
		"large letters":           {headers: []string{"00-" + strings.ToUpper(id) + "-" + parent + "-01"}},
		"not a digit":             {headers: []string{"00-" + id[:31] + "g-" + parent + "-01"}},
		"no flags":                {headers: []string{"00-" + id + "-" + parent}},
		"flags of one digit":      {headers: []string{"00-" + id + "-" + parent + "-1"}},
		"borders elsewhere":       {headers: []string{"00-" + id[:31] + "-" + parent + "0-01"}},
		"a border too many":       {headers: []string{"00-" + id + "-" + parent[:15] + "-" + "-01"}},
		"text from a stranger":    {headers: []string{"00-\n" + id[1:] + "-" + parent + "-01"}},
	} {
		h := http.Header{trace.Parent: c.headers}
		if got, ok := trace.From(h); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got, ok, c.want)
		}
		switch got := trace.Of(h); {
		case c.want != "" && got != c.want:
			t.Errorf("%s: of it %q", name, got)
		case c.want == "":
			if back, ok := trace.From(http.Header{trace.Parent: {"00-" + got + "-" + parent + "-00"}}); !ok || back != got {
				t.Errorf("%s: the new one is %q", name, got)
			}
		}
	}
	if one, two := trace.New(), trace.New(); one == two {
		t.Errorf("two are %s", one)
	}
}
