package competitiongrain

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
)

// The board's cache lies beside journals that are not sealed, and outlives an erasure: it says how far an entry is, never
// where a person was.
func TestTheCheckpointHoldsNoPosition(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	s.training(1).at = gun.Add(1000)
	said := s.training(1).say(gun, 700)
	said.LatE7, said.LonE7 = 475_012_345, 85_067_890
	l.step(said, nil)
	b := l.sh.encodeBoard()
	_, n := protowire.ConsumeVarint(b)
	lines := 0
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var one []byte
		if one, n = protowire.ConsumeBytes(b); n < 0 {
			t.Fatal("a checkpoint that cannot be read")
		}
		var m competitionv1.Report
		if err := proto.Unmarshal(one, &m); err != nil {
			t.Fatal(err)
		}
		if lines++; m.LatE7 != 0 || m.LonE7 != 0 {
			t.Errorf("entry %d is at %d, %d in the checkpoint", m.Entry, m.LatE7, m.LonE7)
		}
	}
	if lines == 0 {
		t.Fatal("no line in the checkpoint")
	}
}
