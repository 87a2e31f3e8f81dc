// Package traininggrain is the shell of a workout: it reads what devices have stored, folds it, journals what the
// fold finds, and reports it to the competition until that says it has it.
//
// It is a step object: no runtime, no socket, no clock. It does not decide (actors/training does) and stores no
// samples but in recordings. Invariants:
//
//   - A block is only a hint with the samples to save a read: what counts is in the series and in the device's
//     journal, and both are read with a cursor.
//   - One reading is under way at a time. Until one has come to its end after the activation's start, nothing is
//     observed and nothing reported: a fold that is not whole yet would take gates back.
//   - What is reported or answered rests on committed events only.
//   - A settle's answer comes from a reading that began after the settle arrived.
package traininggrain
