// Package trainingcodec is the stored form of a workout's events, and the messages that rules and wire share.
//
// It does not judge and reads no store. Invariants: a kind's number and meaning never change; the bytes of every
// kind are golden in testdata; a kind or format that this program does not know is refused loudly.
package trainingcodec
