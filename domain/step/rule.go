package step

// Rule names one rule of the protocol that a test may switch off, to show that it is needed.
type Rule uint8

// The rules of architecture 5a, 5b and "Order of samples". Each is asked for at the one place that keeps it.
const (
	RuleReplyAfterCommit    Rule = iota + 1 // nothing leaves a grain before its append is committed
	RuleFence                               // a refused append whose head is not ours stops the activation
	RuleUnknownLooks                        // an unknown outcome is resolved at the head, never guessed
	RuleAppendID                            // a refused append that carries our append_id is committed
	RuleCommandOnce                         // the same command id gets the first answer
	RuleWakeupFirst                         // the wake-up's row before the append that needs it
	RuleForeignRowFenced                    // another activation's row goes only after an append of our own
	RuleOwnRowKept                          // our own row stays while something is in flight or outstanding
	RuleCursorAfterSync                     // the publication cursor moves only when the stream has synced
	RuleAckAfterDurable                     // a sample is acknowledged when it is durable
	RuleTrim                                // a row never holds a seq at or below through_seq
	RuleGapRefused                          // a batch beyond a gap is refused
	RuleReadBeforeRefuse                    // rows and journal are read again before a gap, skip or stream_opened
	RuleRepeatSameWrite                     // a write without outcome is repeated, same bytes, before any other
	RuleOneWriteInFlight                    // one telemetry write in flight for a stream
	RuleUnbrokenCover                       // through_seq is the end of the unbroken cover
	RuleSkipFinal                           // a row under a skip does not count
	RuleConflict                            // the same seq with other values is refused
	RuleAttachFirst                         // nothing is acknowledged before the training knows the stream
	RuleBlockGapReads                       // a block beyond folded_through+1 makes training read the series
	RuleFactsVersion                        // a higher facts_version makes training read the device's journal
	RuleRefoldOnFact                        // a fact that reaches back sends the fold back
	RuleReportUntilEcho                     // a report with news is repeated until it is echoed
	RuleEchoAfterJournal                    // the echo goes when gates, finish and status are in the journal
	RuleOlderReportDropped                  // a report older than the one held is dropped
	RuleOpenWakes                           // open trainings and races have a wake-up
	RuleSettleFresh                         // a settle's answer comes from a read made after it
	RuleSettleReplaces                      // and it replaces what the competition holds
	RuleSettleAgain                         // the settle is repeated before official
	RuleLateInput                           // input beyond the named one is journalled and told
	RuleNewEpochAsks                        // a new epoch asks every training to report
	RuleGunAnnounced                        // the gun is the announced instant, never that of firing
	RuleFloor                               // below the floor the recording counts, not the rows
	RuleRecordedUntilEcho                   // Recorded is repeated until the device has journalled it
	RuleEpochDrops                          // receivers drop lower epochs
	RuleHubSilent                           // a hub behind a viewer's version is silent until it has caught up
	RuleStreamChoice                        // one stream at a time, a function of the basis alone
	RuleSpeedCredit                         // a step over twice the limit earns no distance
	RuleClockFromJournal                    // ClockSet counts from its seq, also for what is already folded
	RulePublishHole                         // a projector that meets a hole reads the journal
	RuleRefusalLooks                        // a refusal leaves after a look at the head
	RuleBindUntilEcho                       // a binding is told until a report shows it
	RuleSettleUntilAnswered                 // a settle is repeated until it is answered
	RuleSettleGivesUp                       // it goes on without those that do not answer, and says so
	RuleSettleDelay                         // official no sooner than activations have stopped overlapping
	RuleCutoffEnds                          // at cut-off and grace what is stored counts, closed streams or not
	RuleFinishWaits                         // a workout is finished when every named sample is folded
	RuleFactsKeyed                          // facts found by folding are keyed: refolding journals nothing twice
	RuleRowMargin                           // a row that is due too soon covers no append
	RuleRowMovedFirst                       // a row is moved by writing the new one first
	RuleFiresAgain                          // a due row is fired again until it is gone
	RuleLowWaterLags                        // the low-water mark never lies ahead
	RuleSkipTrimmed                         // a skip is trimmed to what the series does not hold
	RulePlanAgain                           // a projector looks at the views' plan again after it has written
	RuleStillThere                          // a projector writes only if nobody has moved the cursor while it read
	RuleResultCloses                        // a result in parts is closed when all of them are there
	RuleResultOneState                      // parts of one result are computed from one state
	Rules                                   // one more than the last
)

var off [Rules]bool

// Off reports whether a test has switched the rule off.
func (r Rule) Off() bool { return off[r] }

// Tester is what SwitchOff needs of a *testing.T: no program outside a test has one.
type Tester interface {
	Helper()
	Cleanup(func())
}

// SwitchOff switches the rule off for one test. Tests that use it do not run in parallel.
func SwitchOff(t Tester, r Rule) {
	t.Helper()
	off[r] = true
	t.Cleanup(func() { off[r] = false })
}
