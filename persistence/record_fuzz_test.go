package persistence

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// FuzzDecodeRecord: any cell is refused as corrupt or read, and what was read is written and read the same.
func FuzzDecodeRecord(f *testing.F) {
	f.Add(appendRecord(nil, &Record{Version: 7, Kind: 3, Format: 1, Payload: []byte("x"), Meta: Meta{At: 1, By: "athlete:ann", CommandID: "c"}}))
	f.Add([]byte{recordFormat})
	f.Fuzz(func(t *testing.T, cell []byte) {
		var r, again Record
		if err := r.decode(7, cell); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("decode = %v, want ErrCorrupt", err)
			}
			return
		}
		written := appendRecord(nil, &r)
		if err := again.decode(7, written); err != nil || !reflect.DeepEqual(r, again) || !bytes.Equal(written, appendRecord(nil, &again)) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
