package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
)

// TestTheDiskIsFullForAWhile: somebody else fills the disk in the middle of a race until less than the reserve is free. The
// node says so and refuses with a code; reads and boards go on; with room again everything is made up for.
func TestTheDiskIsFullForAWhile(t *testing.T) {
	t.Parallel()
	const leftMB, takenMB = 512, 1024 // of the room above the reserve: others may write meanwhile
	folder := t.TempDir()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		t.Fatal(err)
	}
	freeMB := int64(fs.Bavail) * fs.Bsize >> 20
	if freeMB < leftMB+takenMB {
		t.Fatalf("%d MB of the disk of %s are free, this test takes %d for some seconds", freeMB, folder, takenMB)
	}
	data := filepath.Join(folder, "data")
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(outageRate), "--store-reserve-mb", fmt.Sprint(freeMB-leftMB))
	x := newTrouble(t, s, data, outageRate, raceLead, 4_000, 4_200, 4_400, 4_600)
	wait := x.underWay()
	big := take(t, filepath.Join(folder, "somebody-elses"), takenMB<<20)
	x.begins()
	x.during(true)
	if !strings.Contains(x.s.out.String(), "the disk is nearly full") {
		t.Errorf("the log does not say it: %s", x.s.out)
	}
	asked := time.Now()
	_, err := x.node.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{Profile: &userv1.Profile{Handle: "late", Name: "Late"}}))
	if connect.CodeOf(err) != connect.CodeResourceExhausted || time.Since(asked) > 2*time.Second {
		t.Errorf("a command: %v after %v, want it refused at once because the store is full", err, time.Since(asked))
	}
	if c, err := x.node.Competitions.GetCompetition(t.Context(), connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: x.id})); err != nil || len(c.Msg.Competition.Entries) != 4 {
		t.Errorf("a question: %v", err)
	}
	if err := os.Remove(big); err != nil {
		t.Fatal(err)
	}
	x.after()
	wait()
	x.verified()
	must[managev1.RegisterUserResponse](t)(x.node.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{Profile: &userv1.Profile{Handle: "late", Name: "Late"}})))
}

// take takes room on the disk without writing it.
func take(t *testing.T, path string, bytes int64) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, bytes); err != nil {
		t.Fatalf("take %d bytes of the disk: %v", bytes, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	return path
}
