package world

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"paceline/domain/step"
	"paceline/internal/testkit"
)

// TestEachRuleIsNeeded switches each rule of the protocol off and shows that a scene of the world, or a seed, then
// fails. Rules that the world cannot show are in docs/status.md, with where they are shown.
func TestEachRuleIsNeeded(t *testing.T) {
	for _, table := range scenes {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			sc := table[name]
			sc.seeds = 1
			for _, r := range sc.needs {
				t.Run(ruleNames[r]+"/"+name, func(t *testing.T) {
					testkit.NeedsRule(t, r, func(t testing.TB) { sc.playAll(t, name) })
				})
			}
		}
	}
	for _, r := range slices.Sorted(maps.Keys(seedsWithout)) {
		t.Run(ruleNames[r]+"/seed", func(t *testing.T) { needsBySeed(t, r) })
	}
}

// scenes are all tables.
var scenes = []map[string]scene{killTable, lateTable, ruleTable, moreRules, partScenes}

// searched is how many seeds are tried for one that fails without a rule.
const searched = 200

// seedsWithout are seeds that failed without the rule when they were looked for; the search goes on from there.
var seedsWithout = map[step.Rule]uint64{
	step.RuleReplyAfterCommit: 6, step.RuleFence: 24, step.RuleUnknownLooks: 1, step.RuleCommandOnce: 8,
	step.RuleOwnRowKept: 18, step.RuleAckAfterDurable: 10, step.RuleTrim: 1, step.RuleRepeatSameWrite: 1, step.RuleSkipFinal: 2,
	step.RuleSettleFresh: 1, step.RuleFloor: 1, step.RuleStreamChoice: 2,
}

// needsBySeed: the remembered seed, or one of the first seeds, fails without the rule; with it, it passes.
func needsBySeed(t *testing.T, r step.Rule) {
	for i := range uint64(searched) {
		seed := (seedsWithout[r]-1+i)%searched + 1
		failure := without(t, r, seed)
		if failure == "" {
			continue
		}
		if _, with := check(seed, Rough(seed)); with != "" {
			t.Errorf("seed %d fails with the rule in force: %s", seed, with)
		}
		t.Logf("seed %d is red without the rule: %.200s", seed, failure)
		return
	}
	t.Errorf("none of %d seeds fails without the rule", searched)
}

// without plays a seed roughly with the rule off and says how it fails; "": it does not.
func without(t *testing.T, r step.Rule, seed uint64) (failure string) {
	calm := New(seed, Calm(), nil).Run()
	t.Run("off", func(t *testing.T) {
		step.SwitchOff(t, r)
		failure = testkit.Probe(t, func(t testing.TB) {
			w := New(seed, Rough(seed), nil)
			w.maxSteps = 200_000
			rough := w.Run()
			switch {
			case len(rough.Failures) > 0:
				t.Fatal(strings.Join(rough.Failures, "; "))
			case rough.Result != calm.Result:
				t.Fatal("another result")
			}
		})
	})
	return failure
}

// TestSearch looks for seeds that fail without a rule, for all rules or for PACELINE_SEARCH's: to fill the table above.
func TestSearch(t *testing.T) {
	only := os.Getenv("PACELINE_SEARCH")
	if only == "" {
		return // a tool, and no test
	}
	for r := step.Rule(1); r < step.Rules; r++ {
		if only != "all" && !strings.Contains(only, ruleNames[r]) {
			continue
		}
		found := 0
		for seed := uint64(1); seed <= searched && found < 3; seed++ {
			if f := without(t, r, seed); f != "" {
				found++
				t.Logf("%s: seed %d: %.200s", ruleNames[r], seed, f)
			}
		}
		t.Logf("%s: %d found", ruleNames[r], found)
	}
}

var ruleNames = map[step.Rule]string{
	step.RuleResultCloses: "ResultCloses", step.RuleResultOneState: "ResultOneState",
	step.RuleReplyAfterCommit: "ReplyAfterCommit", step.RuleFence: "Fence", step.RuleUnknownLooks: "UnknownLooks",
	step.RuleAppendID: "AppendID", step.RuleCommandOnce: "CommandOnce", step.RuleWakeupFirst: "WakeupFirst",
	step.RuleForeignRowFenced: "ForeignRowFenced", step.RuleOwnRowKept: "OwnRowKept",
	step.RuleCursorAfterSync: "CursorAfterSync", step.RuleAckAfterDurable: "AckAfterDurable", step.RuleTrim: "Trim",
	step.RuleGapRefused: "GapRefused", step.RuleReadBeforeRefuse: "ReadBeforeRefuse",
	step.RuleRepeatSameWrite: "RepeatSameWrite", step.RuleOneWriteInFlight: "OneWriteInFlight",
	step.RuleUnbrokenCover: "UnbrokenCover", step.RuleSkipFinal: "SkipFinal", step.RuleConflict: "Conflict",
	step.RuleAttachFirst: "AttachFirst", step.RuleBlockGapReads: "BlockGapReads", step.RuleFactsVersion: "FactsVersion",
	step.RuleRefoldOnFact: "RefoldOnFact", step.RuleReportUntilEcho: "ReportUntilEcho",
	step.RuleEchoAfterJournal: "EchoAfterJournal", step.RuleOlderReportDropped: "OlderReportDropped",
	step.RuleOpenWakes: "OpenWakes", step.RuleSettleFresh: "SettleFresh", step.RuleSettleReplaces: "SettleReplaces",
	step.RuleSettleAgain: "SettleAgain", step.RuleLateInput: "LateInput", step.RuleNewEpochAsks: "NewEpochAsks",
	step.RuleGunAnnounced: "GunAnnounced", step.RuleFloor: "Floor", step.RuleRecordedUntilEcho: "RecordedUntilEcho",
	step.RuleEpochDrops: "EpochDrops", step.RuleHubSilent: "HubSilent", step.RuleStreamChoice: "StreamChoice",
	step.RuleRefusalLooks:  "RefusalLooks",
	step.RuleBindUntilEcho: "BindUntilEcho", step.RuleSettleUntilAnswered: "SettleUntilAnswered", step.RuleSettleGivesUp: "SettleGivesUp",
	step.RuleSettleDelay: "SettleDelay", step.RuleCutoffEnds: "CutoffEnds", step.RuleFinishWaits: "FinishWaits",
	step.RuleFactsKeyed: "FactsKeyed", step.RuleRowMargin: "RowMargin", step.RuleRowMovedFirst: "RowMovedFirst",
	step.RuleFiresAgain: "FiresAgain", step.RuleLowWaterLags: "LowWaterLags", step.RuleSkipTrimmed: "SkipTrimmed",
	step.RuleSpeedCredit: "SpeedCredit", step.RuleClockFromJournal: "ClockFromJournal", step.RulePublishHole: "PublishHole",
}

// TestScene plays PACELINE_SCENE alone, without the rule PACELINE_OFF, and prints every step.
func TestScene(t *testing.T) {
	name := os.Getenv("PACELINE_SCENE")
	if name == "" {
		return // a tool, and no test
	}
	for _, table := range scenes {
		if sc, ok := table[name]; ok {
			sc.undisturbed(t, name, sc.seedsOf(1)[0])
			for r, n := range ruleNames {
				if n == os.Getenv("PACELINE_OFF") {
					step.SwitchOff(t, r)
				}
			}
			t.Setenv("PACELINE_TRACE", "1")
			sc.play(t, name, sc.seedsOf(1)[0])
		}
	}
}
