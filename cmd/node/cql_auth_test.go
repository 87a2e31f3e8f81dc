package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paceline/internal/testkit"
)

// TestCQLCredentials is against a Cassandra that asks for them, and that acknowledges before it syncs: wrong ones are
// refused in one sentence within seconds, right ones serve, and the password is in nothing that is printed.
func TestCQLCredentials(t *testing.T) {
	testkit.CQLHosts(t) // where there is one, a second can be started
	t.Setenv("CASSANDRA_AUTH", "password")
	t.Setenv("CASSANDRA_SYNC", "periodic")
	hosts := strings.Join(testkit.StartRing(t, 1).Hosts(), ",")
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := func(name, password string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(password), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	right, wrong := file("right", "cassandra\n", 0o600), file("wrong", "s3cret-but-wrong\n", 0o600)
	place := []string{"--cql-hosts", hosts, "--cql-keyspace", "credentials", "--data-dir", data}
	migrate := append([]string{"migrate", "--cql-replication", "1"}, place...)

	// The first user is there some seconds after the server answers.
	var printed []string
	migrated := until(t, migratedWithin, func() bool {
		code, out, errs := pacelineWithin(t, migratedWithin, append(migrate, "--cql-user", "cassandra", "--cql-password-file", right)...)
		printed = append(printed, out, errs)
		return code == 0
	})
	if !migrated {
		t.Fatal(printed[len(printed)-1])
	}
	for name, tc := range map[string]struct {
		flags []string
		want  string
	}{
		"none":                  {nil, "asks for a user and a password, and none are set"},
		"a wrong password":      {[]string{"--cql-user", "cassandra", "--cql-password-file", wrong}, "the servers refuse the credentials: user cassandra"},
		"nobody of that name":   {[]string{"--cql-user", "emperor", "--cql-password-file", right}, "the servers refuse the credentials: user emperor"},
		"a user alone":          {[]string{"--cql-user", "cassandra"}, "--cql-user and --cql-password-file belong together"},
		"a file that all read":  {[]string{"--cql-user", "cassandra", "--cql-password-file", file("open", "cassandra", 0o604)}, "anybody may read it; want 0600"},
		"an empty file":         {[]string{"--cql-user", "cassandra", "--cql-password-file", file("empty", "\n", 0o600)}, "its first line is empty"},
		"a file that is absent": {[]string{"--cql-user", "cassandra", "--cql-password-file", filepath.Join(dir, "none")}, "no such file"},
	} {
		for _, command := range [][]string{append([]string{"run", "--store", "cql", "--listen", "127.0.0.1:0"}, place...), migrate} {
			began := time.Now()
			code, out, errs := paceline(t, append(command, tc.flags...)...)
			printed = append(printed, out, errs)
			if code == 0 || !strings.Contains(errs, tc.want) || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
				t.Errorf("%s, %s: %d, %q, want one line that says %q", command[0], name, code, errs, tc.want)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s, %s: it took %v", command[0], name, took)
			}
		}
	}
	if made := everything(t, data+".keys"); len(made) != 0 {
		t.Errorf("starts that were refused made %v", made)
	}
	flags := append(append([]string{"--store", "cql"}, place...), "--cql-user", "cassandra", "--cql-password-file", right)
	_, out, errs := paceline(t, append([]string{"config", "print"}, flags...)...)
	printed = append(printed, out, errs)
	s := serve(t, append(flags, "--log-level", "debug")...)
	if !strings.Contains(s.out.String(), "commitlog_sync: periodic") {
		t.Errorf("it does not say that what is acknowledged is not synced: %s", s.out)
	}
	if s.stop() != 0 {
		t.Error(s.out)
	}
	printed = append(printed, strings.ReplaceAll(s.out.String(), "user cassandra", ""))
	for _, text := range printed {
		if strings.Contains(text, "s3cret-but-wrong") {
			t.Errorf("a password was printed: %s", text)
		}
	}
}
