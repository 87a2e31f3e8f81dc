// Package persistencetest is the one suite that every row driver must pass: memory, embedded and the sealed
// ones run it here, a driver over a server runs it where there is one.
//
// It is not a benchmark and it knows no driver. Every test opens a store of its own.
package persistencetest
