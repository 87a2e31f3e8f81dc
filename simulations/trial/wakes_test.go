package trial

import (
	"slices"
	"strings"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	"paceline/domain/unit"
)

func TestCheckWoken(t *testing.T) {
	const gun, asleep = unit.InstantMs(1_000_000), unit.InstantMs(990_000)
	race := &sleeper{race: "r", gun: gun, due: gun + 1}
	started := journalled{asleep - 5_000, competition.RaceStarted{GunAt: gun}}
	fenced := journalled{gun + 20, competition.Fenced{}}
	dns := journalled{gun + 20, competition.StatusChanged{Entry: 1, Status: leaderboard.DNS}}
	result := journalled{gun + 30, competition.ResultPublished{}}
	at := func(j journalled, at unit.InstantMs) journalled { j.at = at; return j }
	fine := []journalled{started, fenced, dns, result}
	for _, c := range []struct {
		name    string
		journal []journalled
		want    string // empty: fine
	}{
		{"woken at its time", fine, ""},
		{"the rules act twice", append(slices.Clone(fine), dns), "2 who did not start"},
		{"two results", append(slices.Clone(fine), result), "2 results"},
		{"never woken", fine[:1], "0 who did not start"},
		{"started twice", append(slices.Clone(fine), started), "2 starts"},
		{"the gun is when it was fired", []journalled{at(started, gun+20), {gun + 20, competition.RaceStarted{GunAt: gun + 20}}, dns, result}, "announced was"},
		{"the rules act before the cut-off", []journalled{started, at(dns, gun), result}, "1 ms before their time"},
		{"in memory before", []journalled{started, at(fenced, gun-400), dns, result}, "something else"},
		{"another end", []journalled{started, {gun + 20, competition.StatusChanged{Entry: 1, Status: leaderboard.DNF}}, result}, "is dnf"},
	} {
		err := checkWoken(race, c.journal, asleep)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if acted(fine) != gun+20 || acted(fine[:3]) != 0 {
		t.Errorf("acted: %d with its result, %d without", acted(fine), acted(fine[:3]))
	}
}
