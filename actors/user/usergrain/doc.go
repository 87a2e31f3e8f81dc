// Package usergrain is the shell of a user: it carries commands to the rules and answers from the state.
//
// It is not the rules (package user) and not the runtime: a Shell is a step object, without clock, I/O and
// goroutine. It has no I/O of its own: everything is the machine's.
package usergrain
