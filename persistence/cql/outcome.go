package cql

import (
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"paceline/persistence"
)

// kind is what a request does; what an error leaves open depends on it.
type kind uint8

const (
	reading     kind = iota
	plain            // an unconditional write of one partition, or a logged batch of several
	conditional      // a conditional batch
)

// notSent are the library's own errors before anything has left this process.
var notSent = []error{
	gocql.ErrNoStreams, gocql.ErrHostDown, gocql.ErrNoPool, gocql.ErrNoConnectionsInPool, gocql.ErrNoConnections,
	gocql.ErrSessionClosed, gocql.ErrSessionNotReady, gocql.ErrTooManyStmts, gocql.ErrQueryArgLength,
}

// outcome turns an error of the library into the contract's: ErrUnavailable only if nothing was written and
// nothing will be, else ErrUnknown. Reads write nothing.
func outcome(k kind, err error) error {
	if err == nil {
		return nil
	}
	if k == reading || notWritten(k, err) {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
}

func notWritten(k kind, err error) bool {
	var sent *gocql.QueryError
	if errors.As(err, &sent) && sent.PotentiallyExecuted() {
		return false // also an earlier attempt of the same call
	}
	var refused gocql.RequestError
	if errors.As(err, &refused) {
		return refusedUnwritten(k, refused)
	}
	for _, e := range notSent {
		if errors.Is(err, e) {
			return true
		}
	}
	// A closed connection noticed before anything was sent on it. An answer that cannot be read is not in here, nor
	// is a call that was cancelled: the library says of those that they may have been executed.
	return sent != nil && errors.Is(err, gocql.ErrConnectionClosed)
}

// refusedUnwritten reports whether a server that answers so has not written and will not.
func refusedUnwritten(k kind, err gocql.RequestError) bool {
	switch err.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized, gocql.ErrCodeInvalid, gocql.ErrCodeConfig,
		gocql.ErrCodeUnprepared, gocql.ErrCodeProtocol, gocql.ErrCodeCredentials:
		return true // refused before it was executed
	case gocql.ErrCodeUnavailable:
		// Too few replicas for a plain write: counted before the first is asked. A conditional write counts again
		// when its proposal has been accepted and is to be committed: it may be there already.
		return k == plain
	}
	// Timeouts and failures (also of the read within a conditional write), overload (noticed among the replicas,
	// some of which may have been asked), an error of the server itself, and what is not known yet.
	return false
}
