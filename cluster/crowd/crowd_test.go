package crowd

import "testing"

type one struct{ closed int }

func (o *one) Close() error { o.closed++; return nil }

// TestTheOldestIsPushedOut, and who has left takes no place.
func TestTheOldestIsPushedOut(t *testing.T) {
	c := New(2)
	var a, b, d, e one
	leaveA, pushed := c.Enter(&a)
	leaveB, _ := c.Enter(&b)
	if pushed || a.closed+b.closed != 0 {
		t.Fatal("pushed out while there was room")
	}
	leaveB()
	if _, pushed := c.Enter(&d); pushed {
		t.Fatal("who has left takes a place")
	}
	if _, pushed := c.Enter(&e); !pushed || a.closed != 1 || d.closed+e.closed != 0 {
		t.Fatalf("closed: a %d, d %d, e %d; want the oldest alone", a.closed, d.closed, e.closed)
	}
	leaveA() // after it was pushed out
	leaveB() // once more
	if c.Size() != 2 {
		t.Fatalf("%d are in, want 2", c.Size())
	}
}
