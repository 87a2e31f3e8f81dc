package world

import (
	"os"
	"strings"
	"testing"

	"paceline/domain/step"
)

// searched is how many seeds are tried for one that fails without a rule.
const searched = 200

var ruleNames = map[step.Rule]string{
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
	step.RuleSpeedCredit: "SpeedCredit", step.RuleClockFromJournal: "ClockFromJournal", step.RulePublishHole: "PublishHole",
}

// without plays a seed roughly with the rule off and says how it fails; "": it does not.
func without(t *testing.T, r step.Rule, seed uint64) (failure string) {
	calm := New(seed, Calm(), nil).Run()
	t.Run("off", func(t *testing.T) {
		step.SwitchOff(t, r)
		defer func() {
			if p := recover(); p != nil {
				failure = "panic"
			}
		}()
		w := New(seed, Rough(seed), nil)
		w.maxSteps = 60_000
		rough := w.Run()
		if len(rough.Failures) > 0 {
			failure = strings.Join(rough.Failures, "; ")
		} else if rough.Result != calm.Result {
			failure = "another result"
		}
	})
	return failure
}

func TestSearch(t *testing.T) {
	if os.Getenv("PACELINE_SEARCH") == "" {
		return
	}
	for r := step.Rule(1); r < step.Rules; r++ {
		found := 0
		for seed := uint64(1); seed <= searched && found < 3; seed++ {
			if f := without(t, r, seed); f != "" {
				found++
				if len(f) > 200 {
					f = f[:200]
				}
				println(ruleNames[r], seed, f)
			}
		}
		if found == 0 {
			println(ruleNames[r], "none")
		}
	}
}
