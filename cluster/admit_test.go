//go:build !race

package cluster

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/port"
)

// TestABeginnerIsAsked: whoever could not be talked to, or has another time, does not begin; a row that nobody renews is
// no reason, and neither is a member that is not there.
func TestABeginnerIsAsked(t *testing.T) {
	var many *Many
	b := fortified(t, func(i int, c *Config) {
		if i == 0 {
			many = c.Many
		}
	})
	folder := t.TempDir()
	if err := port.Develop(folder, []string{"x"}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	other, err := port.Load(port.Files{Cert: filepath.Join(folder, "x.pem"), Key: filepath.Join(folder, "x.key"), CA: filepath.Join(folder, "ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	nodes := nodesOf(many.Rows, "paceline")
	for _, old := range []*clusterv1.NodeRow{
		{Id: "killed", Address: b.all[1].Address(), Beat: 7, NowMs: 1}, // its address is somebody else's now
		{Id: "gone", Address: "127.0.0.1:1", Beat: 7, NowMs: 1},
	} {
		if err := nodes.put(t.Context(), old); err != nil {
			t.Fatal(err)
		}
	}
	off := func(by time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(by) } }
	trusting := other.Client() // takes any member, and none takes it
	trusting.VerifyConnection = nil
	for name, tc := range map[string]struct {
		b    beginner
		want string
	}{
		"one of us":                {beginner{tls: b.cert.Client(), now: time.Now}, ""},
		"another authority":        {beginner{tls: other.Client(), now: time.Now}, "it does not accept the certificate of the member at"},
		"a certificate of nobody":  {beginner{tls: trusting, now: time.Now}, "does not accept its certificate"},
		"no certificate":           {beginner{now: time.Now}, "talks with certificates, and this node without"},
		"an hour ahead":            {beginner{tls: b.cert.Client(), now: off(time.Hour)}, "more than 5s apart"},
		"an hour behind":           {beginner{tls: b.cert.Client(), now: off(-time.Hour)}, "more than 5s apart"},
		"a second ahead is nobody": {beginner{tls: b.cert.Client(), now: off(time.Second)}, ""},
	} {
		tc.b.nodes = nodes
		err := tc.b.admit(t.Context())
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want it to say %q", name, err, tc.want)
		}
	}
	b.withstood("beginners that were refused")
}
