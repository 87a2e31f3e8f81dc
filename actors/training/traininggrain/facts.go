package traininggrain

import (
	"maps"
	"slices"

	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/actors/machine"
	"paceline/actors/training"
	"paceline/domain/step"
	"paceline/persistence"
)

// journalPage is how many events of a device are read at once.
const journalPage = 1024

// deviceFacts is what the journal of one device says about the workout's streams.
type deviceFacts struct {
	after   uint64 // version through which it was read
	streams map[string]*device.StreamFacts
	current bool // read to its end since somebody asked
	busy    bool
	asked   uint64 // counts who asked, so that an outcome from before is not taken for current
}

// watch makes sure that the facts of all attached streams are gathered.
func (s *Shell) watch() {
	for _, st := range s.machine.State().Streams {
		d := s.devices[st.Key.Device]
		if d == nil || d.streams[st.Key.Stream] == nil {
			known := d
			d = &deviceFacts{streams: map[string]*device.StreamFacts{}}
			if known != nil {
				for name := range known.streams {
					d.streams[name] = device.NewStreamFacts(name)
				}
			}
			d.streams[st.Key.Stream] = device.NewStreamFacts(st.Key.Stream)
			machine.Set(&s.devices, st.Key.Device, d) // from the journal's beginning
		}
	}
}

// staleFacts asks for all journals to be read again.
func (s *Shell) staleFacts() {
	s.watch()
	for _, d := range s.devices {
		d.current = false
		d.asked++
	}
}

// hintedFacts asks only for the journals that are said to hold more.
func (s *Shell) hintedFacts() {
	s.watch()
	for k, h := range s.hints {
		d := s.devices[k.Device]
		if d == nil || d.streams[k.Stream] == nil {
			continue
		}
		if h.facts > d.streams[k.Stream].Version && !step.RuleFactsVersion.Off() {
			d.current = false
			d.asked++
		}
	}
}

// readFacts reports whether all journals are current, and reads those that are not.
func (s *Shell) readFacts(r *reading) bool {
	all := true
	for _, name := range slices.Sorted(maps.Keys(s.devices)) {
		d := s.devices[name]
		all = all && d.current
		if !d.current && !d.busy {
			s.readJournal(r, name, d)
		}
	}
	return all
}

func (s *Shell) readJournal(r *reading, name string, d *deviceFacts) {
	d.busy = true
	asked := d.asked
	op := persistence.ReadJournalOp{Grain: deviceGrain(name), After: d.after, Limit: journalPage}
	s.do(op, func(now step.Now, done persistence.Done) {
		d.busy = false
		if done.Err != nil {
			if s.reading == r {
				s.failed(now, r, done.Err)
			}
			return
		}
		page := done.Result.(persistence.JournalRead)
		for _, rec := range page.Records {
			e, err := devicecodec.Decode(rec.Kind, rec.Format, rec.Payload)
			if err != nil {
				s.stop("journal of a device: " + err.Error())
				return
			}
			for _, f := range d.streams {
				f.Apply(rec.Version, e)
			}
			d.after = rec.Version
		}
		d.current = !page.More && asked == d.asked
	})
}

func (s *Shell) streamFacts(k training.StreamKey) *device.StreamFacts {
	if d := s.devices[k.Device]; d != nil {
		return d.streams[k.Stream]
	}
	return nil
}

// factsOf is what the fold needs of a stream's facts.
func (s *Shell) factsOf(k training.StreamKey) training.Facts {
	f := s.streamFacts(k)
	if f == nil {
		return training.Facts{}
	}
	clocks := make([]training.ClockFrom, len(f.Clocks))
	for i, c := range f.Clocks {
		clocks[i] = training.ClockFrom{FromSeq: c.FromSeq, OffsetMs: c.Offset}
	}
	skips := make([]training.Span, len(f.Skips))
	for i, k := range f.Skips {
		skips[i] = training.Span{From: k.From, To: k.To}
	}
	return training.NewFacts(f.Version, clocks, skips)
}

func (s *Shell) floorOf(k training.StreamKey) device.Floor {
	if f := s.streamFacts(k); f != nil {
		return f.Floor
	}
	return device.Floor{}
}

// closed reports whether a stream has said that nothing more comes, and all of it is folded.
func (s *Shell) closed(k training.StreamKey) bool {
	through := s.fold.Through(k)
	if f := s.streamFacts(k); f != nil && f.Closed {
		return through >= f.ClosedAt
	}
	h := s.hints[k]
	return h != nil && h.closed && through >= h.closedAt
}
