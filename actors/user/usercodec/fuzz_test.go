package usercodec

import (
	"bytes"
	"testing"
)

// FuzzDecode: any bytes are refused or read, and what was read is written and read the same.
func FuzzDecode(f *testing.F) {
	for _, e := range examples {
		kind, _, payload, _ := Encode(e)
		f.Add(kind, payload)
	}
	f.Fuzz(func(t *testing.T, kind uint32, payload []byte) {
		e, err := Decode(kind, Format, payload)
		if err != nil {
			return
		}
		k, _, again, err := Encode(e)
		if err != nil || k != kind {
			t.Fatalf("Encode(Decode(%d, %x)) = kind %d, %v", kind, payload, k, err)
		}
		e2, err := Decode(k, Format, again)
		if err != nil || e != e2 {
			t.Fatalf("%+v became %+v, %v", e, e2, err)
		}
		if _, _, third, _ := Encode(e2); !bytes.Equal(again, third) {
			t.Fatalf("%x became %x", again, third)
		}
	})
}
