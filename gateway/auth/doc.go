// Package auth answers one question, for every message, topic and RPC: may this principal do this operation on
// this resource? It also makes and reads access tokens (EdDSA JWTs).
//
// It is not a store of roles or privacy: what a decision depends on comes in as the Resource, found by the
// caller. It decides nothing about races; an official's command that is allowed here may still be refused by the
// competition's rules.
//
// Invariants: a principal is one of four roles; an operation without a row in the table does not compile; what
// the table does not allow is denied, with a reason. Token times are wall clock.
package auth
