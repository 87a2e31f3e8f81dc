package testkit

import (
	"syscall"
	"testing"
	"time"
)

// CPU begins to count what this process spends; what it returns reports it for each operation as "cpu-ns/op". On a
// machine that others use too it says more than the clock does.
func CPU(b *testing.B) (report func()) {
	b.Helper()
	began := Spent()
	return func() { b.ReportMetric(float64((Spent()-began).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

// Spent is the processor time of this process so far, in its own code and in the kernel.
func Spent() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
