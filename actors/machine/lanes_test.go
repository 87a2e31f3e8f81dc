package machine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
)

// TestLanesHoldNoMoreThanTheyMay: the queue at its limit, with live and old data in any mixture.
func TestLanesHoldNoMoreThanTheyMay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := LanesConfig{Workers: rapid.IntRange(1, 8).Draw(rt, "workers"), Waiting: rapid.IntRange(1, 40).Draw(rt, "waiting"), Timeout: time.Minute}
		l := NewLanes(cfg)
		release := make(chan struct{})
		hold := func(context.Context) error { <-release; return nil }
		begun := 0
		for range cfg.Workers { // all of them are busy
			started := make(chan struct{})
			if !l.Go(Job{Do: func(ctx context.Context) error { close(started); return hold(ctx) }}) {
				rt.Fatal("refused while workers are idle")
			}
			<-started
			begun++
		}
		taken, old := 0, 0
		for range 3 * cfg.Waiting {
			j := Job{Do: hold, Old: rapid.Bool().Draw(rt, "old")}
			if l.Go(j) {
				taken++
				if j.Old {
					old++
				}
			}
		}
		for l.Go(Job{Do: hold}) {
			taken++
		}
		if taken != cfg.Waiting {
			rt.Errorf("%d jobs wait, want %d", taken, cfg.Waiting)
		}
		if most := max(1, cfg.Waiting/2); old > most {
			rt.Errorf("%d old jobs wait, want at most %d", old, most)
		}
		if all, _ := l.Queued(); all != taken {
			rt.Errorf("Queued() = %d, want %d", all, taken)
		}
		close(release)
		l.Close()
		if l.Go(Job{Do: hold}) {
			rt.Error("a closed pool takes a job")
		}
	})
}

// TestWhatJobsCarryIsBounded: live, old and very large ones hold no more than they may, waiting and under way, and not each
// other's; one that is larger goes when it is alone; what is done makes room.
func TestWhatJobsCarryIsBounded(t *testing.T) {
	const most = 4 * veryLarge
	for name, job := range map[string]Job{
		"live":       {Bytes: 200 << 10},
		"old":        {Bytes: 200 << 10, Old: true},
		"very large": {Bytes: veryLarge + 1},
		"too large":  {Bytes: most + 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLanes(LanesConfig{Workers: 1, Waiting: 1000, HeldBytes: most, Timeout: time.Hour})
			release := make(chan struct{})
			hold := func(context.Context) error { <-release; return nil }
			job.Do = hold
			taken := 0
			for taken < 500 && l.Go(job) {
				taken++
			}
			if want := max(1, most/job.Bytes); taken != want {
				t.Errorf("%d jobs of %d bytes are taken, want %d: at most %d bytes, and one in any case", taken, job.Bytes, want, most)
			}
			for _, other := range []Job{{Bytes: 1}, {Bytes: 1, Old: true}, {Bytes: veryLarge + 1}, {Do: hold}} {
				other.Do = hold
				full := other.Bytes > 0 && other.like() == job.like() && taken*job.Bytes+other.Bytes > most
				if got := l.Go(other); got == full {
					t.Errorf("a job of %d bytes (old: %v) beside them is taken: %v, want %v", other.Bytes, other.Old, got, !full)
				}
			}
			close(release)
			l.Close()
			if l.held != [likesOfJob]int{} {
				t.Errorf("%v bytes are held when all is done", l.held)
			}
		})
	}
}

// An operation weighs what it holds, so that the bound is one of the memory.
func TestWhatAnOperationWeighs(t *testing.T) {
	batch := sample.Batch{FirstSeq: 1, AtMs: make([]unit.InstantMs, 100)}
	batch.Columns[sample.PowerW].Grow(100)
	one := batch.Bytes()
	if one < 1600 || one > 2000 {
		t.Errorf("a batch of 100 numbers weighs %d bytes", one)
	}
	records := []persistence.Record{{Payload: make([]byte, 3)}, {Payload: make([]byte, 4)}}
	stream := persistence.RecordedStream{Batches: []sample.Batch{batch, batch}}
	for _, tt := range []struct {
		op   persistence.Op
		want int
	}{
		{persistence.AppendOp{Append: persistence.Append{Records: records}}, 7},
		{persistence.PublishOp{Records: records}, 7},
		{persistence.PutSnapshotOp{Snapshot: persistence.Snapshot{Bytes: make([]byte, 5)}}, 5},
		{persistence.PutBlockOp{Batch: &batch}, one},
		{persistence.PutRecordingOp{Recording: persistence.Recording{Streams: []persistence.RecordedStream{stream, stream}}}, 4 * one},
		{persistence.HeadOp{}, 0},
	} {
		if got := bytesOf(tt.op); got != tt.want {
			t.Errorf("%T weighs %d, want %d", tt.op, got, tt.want)
		}
	}
}

// TestOldDataIsNeverInTheWay: with old jobs in every place that they may have, a live one begins before them, and old
// ones keep few of the workers.
func TestOldDataIsNeverInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLanes(LanesConfig{Workers: 8, Waiting: 64, Old: 2, Timeout: time.Hour})
		one := make(chan struct{})
		live, old := 0, 0 // that have begun
		job := func(count *int, isOld bool) Job {
			return Job{Old: isOld, Do: func(context.Context) error {
				l.mu.Lock()
				*count++
				l.mu.Unlock()
				<-one
				return nil
			}}
		}
		want := func(what string, wantOld, wantLive int) {
			t.Helper()
			synctest.Wait()
			if old != wantOld || live != wantLive {
				t.Fatalf("%s: %d old and %d live jobs have begun, want %d and %d", what, old, live, wantOld, wantLive)
			}
		}
		for l.Go(job(&old, true)) {
			synctest.Wait()
		}
		want("old ones alone", 2, 0)
		for range 8 {
			if !l.Go(job(&live, false)) {
				t.Fatal("no room for a live job")
			}
		}
		want("six workers are left", 2, 6)
		one <- struct{}{}
		one <- struct{}{}
		synctest.Wait()
		if live != 8 {
			t.Fatalf("%d live and %d old jobs have begun with two more workers free, want all 8 live ones first", live, old)
		}
		close(one)
		l.Close()
	})
}

// TestBehind: what counts as a store that does not keep up, and since when.
func TestBehind(t *testing.T) {
	failed := func(context.Context) error { return fmt.Errorf("away: %w", persistence.ErrUnavailable) }
	well := func(context.Context) error { return nil }
	synctest.Test(t, func(t *testing.T) {
		l := NewLanes(LanesConfig{Workers: 2, Waiting: 8, Timeout: time.Hour, Behind: 2 * time.Second})
		defer l.Close()
		wait := func(d time.Duration) unit.InstantMs {
			timer := time.NewTimer(d)
			<-timer.C
			synctest.Wait()
			return l.Behind()
		}
		run := func(j Job) {
			l.Go(j)
			synctest.Wait()
		}
		if got := wait(10 * time.Second); got != 0 {
			t.Fatalf("behind since %d with nothing to do", got)
		}
		slow := make(chan struct{})
		began := wall()
		run(Job{Durable: true, Do: func(context.Context) error { <-slow; return nil }})
		if got := wait(1900 * time.Millisecond); got != 0 {
			t.Fatalf("behind since %d after less than the time", got)
		}
		if got := wait(time.Second); got != began {
			t.Fatalf("behind since %d, want %d: an operation has no outcome for 2.9 s", got, began)
		}
		close(slow)
		if got := wait(time.Second); got != began {
			t.Fatalf("well at once after a slow operation: %d", got)
		}
		if got := wait(3 * time.Second); got != 0 {
			t.Fatalf("behind since %d, long after the last slow operation", got)
		}
		began = wall()
		for range 6 {
			run(Job{Durable: true, Do: failed})
			run(Job{Do: well}) // reads work on: that shows nothing
			wait(time.Second)
		}
		if got := l.Behind(); got != began {
			t.Fatalf("behind since %d, want %d: writes fail", got, began)
		}
		run(Job{Durable: true, Do: well})
		if got := wait(3 * time.Second); got != 0 {
			t.Fatalf("behind since %d after a write that succeeded", got)
		}
		run(Job{Durable: true, Do: failed})
		if got := wait(5 * time.Second); got == 0 {
			t.Fatal("a failure that nobody has made up for is forgotten at once")
		}
		if got := wait(20 * time.Second); got != 0 {
			t.Fatalf("behind since %d although nobody tries any more", got)
		}
	})
}
