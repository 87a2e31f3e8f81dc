package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/unit"
	"paceline/persistence"
)

// registering registers people until it is stopped, and says who was acknowledged.
type registering struct {
	mu   sync.Mutex
	ids  []string
	stop func()
}

func (r *registering) acknowledged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

func keepRegistering(t *testing.T, api management) *registering {
	r := &registering{}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				u, err := api.users.RegisterUser(ctx, connect.NewRequest(&managev1.RegisterUserRequest{Profile: &userv1.Profile{
					Handle: fmt.Sprintf("load-%d-%d", w, n), Name: "Load", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}}))
				if err == nil {
					r.mu.Lock()
					r.ids = append(r.ids, u.Msg.UserId)
					r.mu.Unlock()
				}
			}
		})
	}
	r.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(r.stop)
	return r
}

// TestBackupWhileServing: in the middle of a race and under load a backup is made. The folder that is made of it serves,
// has all that was acknowledged before, and the result of the race that was over verifies.
func TestBackupWhileServing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(raceRate))
	over := openRace(t, s, data, 4_600, 5_000)
	over.start(t.Context())()
	result := over.official(60 * time.Second)

	running := openRace(t, s, data, 4_000, 4_200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, d := range running.devices {
		go func() { _ = d.Run(ctx) }()
	}
	load := keepRegistering(t, manage(t, s, data))
	middle := time.NewTimer(running.node.Until(running.gun.Add(40 * unit.Second)))
	<-middle.C
	people := load.acknowledged()
	var samples []uint64
	for _, d := range running.devices {
		samples = append(samples, d.Acked())
	}
	file := filepath.Join(t.TempDir(), "node.backup")
	code, out, errs := paceline(t, "backup", "--to", file, "--listen", strings.TrimPrefix(s.url, "http://"), "--data-dir", data)
	if code != 0 || !strings.Contains(out, "the keys") {
		t.Fatalf("backup: %d %s%s", code, out, errs)
	}
	if len(people) < 4 || samples[0] < 10 {
		t.Fatalf("%d people, %v samples: this shows nothing", len(people), samples)
	}
	if code, _, errs := paceline(t, "backup", "--to", file, "--listen", strings.TrimPrefix(s.url, "http://"), "--data-dir", data); code == 0 || !strings.Contains(errs, "not overwritten") {
		t.Errorf("a second backup into the same file: %d %s", code, errs)
	}
	load.stop()
	cancel()
	if left, _ := filepath.Glob(filepath.Join(data, "backup-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	s.stop()

	restored := filepath.Join(t.TempDir(), "restored")
	if code, out, errs = paceline(t, "restore", "--from", file, "--data-dir", restored); code != 0 || !strings.Contains(out, "keys must lie in "+restored+".keys") {
		t.Fatalf("restore: %d %s%s", code, out, errs)
	}
	if code, _, errs := paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", restored); code == 0 || !strings.Contains(errs, "wrapping key") {
		t.Errorf("started without its keys: %d %s", code, errs)
	}
	copyTree(t, data+".keys", restored+".keys")
	wantSamples(t, settings{DataDir: restored, Store: "embedded", StoreCacheMB: 8, StoreMemtableMB: 1}, running, samples)
	s = serve(t, "--data-dir", restored)
	wantRestored(t, s, restored, people, over, result)
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
}

// wantRestored looks at a node on what was restored: everybody is there, and the race that was over has the same result, which verifies.
func wantRestored(t *testing.T, s serving, data string, people []string, over *race, result *competitionv1.ResultPublished) {
	t.Helper()
	api := manage(t, s, data)
	for _, id := range people {
		if _, err := api.users.GetUser(t.Context(), connect.NewRequest(&managev1.GetUserRequest{UserId: id})); err != nil {
			t.Errorf("%s was acknowledged before the backup: %v", id, err)
		}
	}
	got := must[managev1.GetCompetitionResponse](t)(api.competitions.GetCompetition(t.Context(), connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: over.id})))
	if got.Competition.GetResult().String() != result.String() {
		t.Errorf("result = %v, want %v", got.Competition.GetResult(), result)
	}
	bundle := filepath.Join(t.TempDir(), "bundle.zip")
	if code, _, errs := paceline(t, "export", over.id, "-o", bundle, "--listen", strings.TrimPrefix(s.url, "http://"), "--data-dir", data); code != 0 {
		t.Fatalf("export: %s", errs)
	}
	if code, out, errs := paceline(t, "verify", bundle); code != 0 || !strings.Contains(out, "verified: all 2 entries agree") {
		t.Errorf("verify: %d\n%s%s", code, out, errs)
	}
}

// wantSamples looks past everything at the rows: what was acknowledged of each stream is there.
func wantSamples(t *testing.T, set settings, r *race, acked []uint64) {
	t.Helper()
	st, err := openStore(t.Context(), set, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	for i, d := range r.devices {
		end, err := persistence.Over(st.rows).RecoverSeries(t.Context(), persistence.SeriesKey{Device: d.Device, Stream: d.Stream, Subject: d.User}, 0, nil)
		if err != nil || end.Through < acked[i] {
			t.Errorf("%s: through %d (%v), acknowledged before the backup were %d", d.Name, end.Through, err, acked[i])
		}
	}
}

// copyTree copies a folder without folders in it, as the process's own.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	names, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	for _, n := range names {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(from, n.Name())); err == nil {
			err = os.WriteFile(filepath.Join(to, n.Name()), b, 0o600)
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// digestOf is of every name and every byte below a folder.
func digestOf(t *testing.T, folder string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// sentence wants a refusal: not zero, and one line of standard error that says this.
func sentence(t *testing.T, code int, errs, says string) {
	t.Helper()
	if code == 0 || !strings.Contains(errs, says) || strings.Count(strings.TrimRight(errs, "\n"), "\n") > 0 {
		t.Errorf("exit code %d, %q; want one sentence with %q", code, errs, says)
	}
}

// stopped is the folder of a node that has served and left.
func stopped(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	api := manage(t, s, data)
	for i := range 20 {
		must[managev1.RegisterUserResponse](t)(api.users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{Profile: &userv1.Profile{
			Handle: fmt.Sprint("user-", i), Name: "User", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}})))
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
	serve(t, "--data-dir", data).stop() // which writes what was in the log into a table
	return data
}

// TestBackupsThatAreNone: what cannot be restored says why and leaves nothing.
func TestBackupsThatAreNone(t *testing.T) {
	data := stopped(t)
	good := filepath.Join(t.TempDir(), "good.backup")
	if code, _, errs := paceline(t, "backup", "--offline", "--to", good, "--data-dir", data); code != 0 {
		t.Fatal(errs)
	}
	if code, out, errs := paceline(t, "restore", "--check", "--from", good, "--data-dir", data); code != 0 || !strings.Contains(out, "whole: ") {
		t.Errorf("check: %d %s%s", code, out, errs)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	table := bytes.Index(whole, []byte("snapshots of races")) // in the content of a file
	for name, c := range map[string]struct {
		make func() []byte
		says string
	}{
		"empty":           {func() []byte { return nil }, "no backup of paceline"},
		"something else":  {func() []byte { return []byte(strings.Repeat("a zip, perhaps. ", 100)) }, "no backup of paceline"},
		"cut off":         {func() []byte { return whole[:len(whole)/2] }, "not whole"},
		"its end cut off": {func() []byte { return whole[:len(whole)-1500] }, "not whole"},
		"a newer format":  {func() []byte { return bytes.Replace(whole, []byte(`{"format":1}`), []byte(`{"format":2}`), 1) }, "newer release"},
		"a changed byte":  {func() []byte { b := slices.Clone(whole); b[table] ^= 1; return b }, "is not what it was"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, target := filepath.Join(t.TempDir(), "bad.backup"), filepath.Join(t.TempDir(), "into")
			if err := os.WriteFile(bad, c.make(), 0o600); err != nil {
				t.Fatal(err)
			}
			code, _, errs := paceline(t, "restore", "--from", bad, "--data-dir", target)
			sentence(t, code, errs, c.says)
			if left, _ := os.ReadDir(filepath.Dir(target)); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	before := digestOf(t, data)
	code, _, errs := paceline(t, "restore", "--from", good, "--data-dir", data)
	sentence(t, code, errs, "there is something in "+data)
	code, _, errs = paceline(t, "restore", "--from", good+".missing", "--data-dir", data+"2")
	sentence(t, code, errs, "no such file")
	code, _, errs = paceline(t, "backup", "--to", filepath.Join(data, "in-it"), "--offline", "--data-dir", data)
	sentence(t, code, errs, "lies in the data folder")
	code, _, errs = paceline(t, "backup", "--to", good+"2", "--listen", "127.0.0.1:1", "--data-dir", data)
	sentence(t, code, errs, "no node answers")
	if digestOf(t, data) != before {
		t.Error("the folder was touched")
	}
}

// TestFoldersThatCannotBeServed: a folder that another process holds, that is damaged, or that a newer release has
// written: one sentence, not zero, nothing touched.
func TestFoldersThatCannotBeServed(t *testing.T) {
	good := stopped(t)
	newest := func(folder, pattern string) string {
		all, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(all) == 0 {
			t.Fatalf("no %s (%v)", pattern, err)
		}
		slices.Sort(all)
		return all[len(all)-1]
	}
	change := func(name string, f func(b []byte) []byte) {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, f(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }
	for name, c := range map[string]struct {
		do   func(folder string)
		says string
	}{
		"a table is damaged":  {func(f string) { change(newest(f, "*.sst"), flip) }, "the data folder is damaged"},
		"a table is gone":     {func(f string) { _ = os.Remove(newest(f, "*.sst")) }, "the data folder is damaged"},
		"the list is damaged": {func(f string) { change(newest(f, "MANIFEST-*"), flip) }, "the data folder is damaged"},
		"somebody else's folder": {func(f string) {
			_ = os.RemoveAll(f)
			_ = os.MkdirAll(f, 0o700)
			_ = os.WriteFile(filepath.Join(f, "thesis.tex"), nil, 0o600)
		}, "not a node's"},
		"a newer folder": {func(f string) {
			change(filepath.Join(f, "paceline.json"), func([]byte) []byte { return []byte(`{"format":2}`) })
		}, "newer release"},
		"snapshots of a newer form": {func(f string) { change(filepath.Join(f, "paceline.json"), newerSnapshots) }, "snapshots of races in format 99"},
		"a newer feature level":     {func(f string) { change(filepath.Join(f, "paceline.json"), newerLevel) }, fmt.Sprintf("feature level 99, this release reads up to %d", newestLevel)},
		"a newer form of everything": {func(f string) {
			_ = os.Rename(newest(f, "marker.format-version.*"), filepath.Join(f, "marker.format-version.000099.099"))
		}, "newer release"},
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			copyTree(t, good, data)
			copyTree(t, good+".keys", data+".keys")
			c.do(data)
			before := digestOf(t, filepath.Dir(data))
			code, errs := child(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data)
			sentence(t, code, errs, c.says)
			t.Log(strings.TrimSpace(errs))
			if digestOf(t, filepath.Dir(data)) != before {
				t.Error("something was touched")
			}
			if name == "snapshots of a newer form" {
				serve(t, "--data-dir", data, "--drop-snapshots").stop()
				serve(t, "--data-dir", data).stop()
			}
		})
	}
	t.Run("held by another process", func(t *testing.T) {
		s := serve(t, "--data-dir", good)
		defer s.stop()
		for _, args := range [][]string{{"run", "--listen", "127.0.0.1:0"}, {"export", "x", "--offline", "-o", filepath.Join(t.TempDir(), "x")}, {"backup", "--offline", "--to", filepath.Join(t.TempDir(), "x")}} {
			code, errs := child(t, append(args, "--data-dir", good)...)
			sentence(t, code, errs, "in use by another process")
		}
	})
}

func newerLevel([]byte) []byte { return []byte(`{"format":1,"formats":{"feature level":99}}`) }

func newerSnapshots(b []byte) []byte {
	return []byte(`{"format":1,"formats":{"snapshots of races":99}}`)
}
