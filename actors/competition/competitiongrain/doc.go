// Package competitiongrain is the shell of a race: it takes messages, asks the rules, and does what follows.
//
// It is not the rules (package competition), and it knows neither the runtime nor the store: Step says what is to be
// done as step.Outs. It never waits for another grain; whatever it needs of one it asks for again until that one has
// answered in a way that the journal or the activation remembers:
//
//   - Bind, each second, until a report shows the binding's version.
//   - ReportRequest, each second, to every bound training that has not reported to this epoch; until then the board is
//     marked recovering.
//   - Settle, every two seconds, until the answer is journalled; after thirty the rest goes on under review.
//
// Two states: the machine's newest one, on which commands are decided, and shown, which holds committed events only and
// is all that leaves the grain. Nothing at all leaves it before its epoch is open, while the race is between lock and
// official.
//
// What is not in the journal (progress, positions, who is offline) is kept for each entry in a line, and written as a
// checkpoint of which nothing depends. The board is a rank.Board of the lines; on a tick each interested node gets what
// has changed.
package competitiongrain
