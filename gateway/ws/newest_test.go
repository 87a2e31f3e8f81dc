package ws

import (
	"testing"
)

// What is not written yet is replaced, never queued.
func TestANewerFrameTakesThePlace(t *testing.T) {
	var o outbox
	o.init(16, 1000)
	for _, n := range []newest{{"a", []byte("old"), 1}, {"b", []byte("other"), 2}, {"a", []byte("new"), 3}} {
		o.replace(n)
	}
	got := o.takeNewest()
	if len(got) != 2 || string(got[0].frame) != "new" || got[0].until != 3 || string(got[1].frame) != "other" {
		t.Errorf("%+v", got)
	}
	if got = o.takeNewest(); len(got) != 0 {
		t.Errorf("again %+v", got)
	}
	o.kill()
	o.replace(newest{"a", nil, 9})
	if got = o.takeNewest(); len(got) != 0 {
		t.Errorf("a dead one holds %+v", got)
	}
}
