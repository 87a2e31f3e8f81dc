package competition

import (
	"slices"
	"strings"

	"paceline/actors/leaderboard"
	"paceline/domain/id"
	"paceline/domain/unit"
)

const maxReasonBytes = 200

func decideCreate(s *State, c Create) ([]Event, error) {
	if s.Phase != PhaseNone {
		return nil, ErrExists
	}
	d, err := c.Definition.normal()
	if err != nil {
		return nil, err
	}
	return one(Created{d})
}

func decideAddEntry(s *State, c AddEntry) ([]Event, error) {
	number := c.Number
	if number == 0 && len(s.entries) > 0 {
		number = s.entries[len(s.entries)-1].Number
	}
	if c.Number == 0 {
		number++
	}
	alone := strings.HasPrefix(c.By, "athlete:")
	switch {
	case s.Phase > PhaseOpen:
		return nil, ErrNotOpen
	case alone && (c.Number != 0 || c.Heat != 0 || c.Wave != 0 || c.Offset != 0):
		// Whoever could choose the own start would choose the own time; the highest number would leave none to others.
		return nil, ErrOfficials
	case number > MaxEntryNumber:
		return nil, ErrNumberRange.With("%d", number)
	case len(s.entries) >= MaxEntries(len(s.Course.Visits())):
		return nil, ErrFull.With("at most %d", MaxEntries(len(s.Course.Visits())))
	case c.InOne && len(s.entries) >= MaxEntriesInOne(len(s.Course.Visits())):
		return nil, ErrFull.With("at most %d as long as an older release may have to read it, see paceline cluster raise", MaxEntriesInOne(len(s.Course.Visits())))
	case s.byUser[c.User] != nil:
		return nil, ErrEntered
	case s.byNumber[number] != nil:
		return nil, ErrNumber.With("%d", number)
	case c.Category != "" && !slices.Contains(s.Definition.Categories, c.Category):
		return nil, ErrCategory.With("%q", c.Category)
	case c.Heat > MaxHeat || c.Wave > MaxHeat:
		return nil, ErrHeat
	case c.Offset < 0 || c.Offset > maxOffset || c.Offset != 0 && s.Definition.Start == MassStart:
		return nil, ErrOffset.With("%d ms", c.Offset)
	}
	if err := id.Check(c.User); err != nil {
		return nil, err
	}
	return one(EntryAdded{Entry: number, User: c.User, Category: c.Category, Heat: c.Heat, Wave: c.Wave, Offset: c.Offset})
}

// entryFor is the entry of that number, or the asking athlete's own.
func (s *State) entryFor(number uint32, by string) *Entry {
	if user, ok := strings.CutPrefix(by, "athlete:"); ok && number == 0 {
		return s.byUser[user]
	}
	return s.byNumber[number]
}

// withdraw takes an entry out: DNS before its gun, DNF after it.
func withdraw(s *State, e *Entry, at unit.InstantMs, reason string) ([]Event, error) {
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case s.Phase >= PhaseSettling:
		return nil, ErrOver
	case e.Withdrawn:
		return nil, nil
	case e.Ran == leaderboard.Finished:
		return nil, ErrFinished
	case len(reason) > maxReasonBytes:
		return nil, ErrReason
	}
	status := leaderboard.DNS
	if s.GunAt != 0 && at >= s.GunOf(e) && e.Training != "" {
		status = leaderboard.DNF
	}
	return []Event{StatusChanged{e.Number, status, "withdrawn"}, EntryWithdrawn{e.Number, reason}}, nil
}

func decideLock(s *State, _ Lock) ([]Event, error) {
	switch {
	case s.Phase > PhaseOpen:
		return nil, ErrNotOpen
	case len(s.entries) == 0:
		return nil, ErrNoEntries
	}
	return one(StartListLocked{RulesVersion})
}

func decideJoin(s *State, c Join) ([]Event, error) {
	e := s.byUser[c.User]
	official := strings.HasPrefix(c.By, "operator:")
	switch phase := s.PhaseAt(c.At); {
	case e == nil:
		return nil, ErrNoEntry
	case phase > PhaseRunning:
		return nil, ErrOver
	case e.Withdrawn:
		return nil, ErrWithdrawn
	case !strings.HasPrefix(c.Training, c.User+"/"):
		return nil, ErrTraining
	case e.Training == c.Training && e.Primary == c.Primary:
		return nil, nil
	case s.CutoffAt != 0 && c.At >= s.CutoffAt && !official:
		return nil, ErrCutOff
	case phase == PhaseRunning && e.Training != "" && !official:
		return nil, ErrBound
	}
	if err := id.CheckScoped(c.Training); err != nil {
		return nil, err
	}
	if c.Primary != "" {
		if err := id.Check(c.Primary); err != nil {
			return nil, err
		}
	}
	return one(EntryBound{Entry: e.Number, Training: c.Training, Primary: c.Primary})
}

func decideReady(s *State, c Ready) ([]Event, error) {
	e := s.byUser[c.User]
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case s.PhaseAt(c.At) >= PhaseRunning:
		return nil, ErrRunning
	case e.Withdrawn:
		return nil, ErrWithdrawn
	case e.Ready:
		return nil, nil
	}
	return one(EntryReady{e.Number})
}

func decideStart(s *State, c Start) ([]Event, error) {
	gun := c.GunAt
	if gun == 0 {
		gun = c.At
	}
	switch {
	case s.Phase < PhaseLocked:
		return nil, ErrNotLocked
	case s.Phase > PhaseLocked && s.Phase != PhaseCancelled:
		return nil, ErrRunning
	case s.Phase == PhaseCancelled:
		return nil, ErrOver
	case gun < c.At.Add(-gunEarliest) || gun > c.At.Add(gunLatest):
		return nil, ErrGun
	}
	return one(started(s, gun))
}

func started(s *State, gun unit.InstantMs) RaceStarted {
	return RaceStarted{GunAt: gun, CutoffAt: gun.Add(s.Definition.CutoffAfter)}
}

func decideCancel(s *State, c Cancel) ([]Event, error) {
	switch {
	case s.Phase == PhaseOfficial:
		return nil, ErrOver
	case s.Phase == PhaseCancelled:
		return nil, nil
	case len(c.Reason) > maxReasonBytes:
		return nil, ErrReason
	}
	return one(Cancelled{c.Reason})
}
