package cql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"unsafe"

	"github.com/gocql/gocql"

	"paceline/persistence"
)

// frame makes a server's error of the library with a code: the fields that hold it are not exported.
func frame[E any](code int) *E {
	e := new(E)
	f := reflect.ValueOf(e).Elem().FieldByName("errorFrame").FieldByName("code")
	reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().SetInt(int64(code))
	return e
}

// attempt wraps an error as the library's executor does; sent says whether an attempt of the same call may have run.
func attempt(err error, sent bool) error {
	e := new(gocql.QueryError)
	v := reflect.ValueOf(e).Elem()
	set := func(name string, to any) {
		f := v.FieldByName(name)
		reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Set(reflect.ValueOf(to))
	}
	set("err", err)
	set("potentiallyExecuted", sent)
	return e
}

func TestOutcome(t *testing.T) {
	away, unknown := persistence.ErrUnavailable, persistence.ErrUnknown
	for _, tt := range []struct {
		name               string
		err                error
		plain, conditional error
	}{
		// Servers' answers. The library wraps them as never executed, which is no answer to the question.
		{"unavailable", frame[gocql.RequestErrUnavailable](gocql.ErrCodeUnavailable), away, unknown},
		{"write timeout", frame[gocql.RequestErrWriteTimeout](gocql.ErrCodeWriteTimeout), unknown, unknown},
		{"write failure", frame[gocql.RequestErrWriteFailure](gocql.ErrCodeWriteFailure), unknown, unknown},
		{"read timeout", frame[gocql.RequestErrReadTimeout](gocql.ErrCodeReadTimeout), unknown, unknown},
		{"read failure", frame[gocql.RequestErrReadFailure](gocql.ErrCodeReadFailure), unknown, unknown},
		{"CAS write unknown", frame[gocql.RequestErrCASWriteUnknown](gocql.ErrCodeCASWriteUnknown), unknown, unknown},
		{"CDC write failure", frame[gocql.RequestErrCDCWriteFailure](gocql.ErrCodeCDCWriteFailure), unknown, unknown},
		{"function failure", frame[gocql.RequestErrFunctionFailure](gocql.ErrCodeFunctionFailure), unknown, unknown},
		{"rate limit", frame[gocql.RequestErrRateLimitReached](0xf000), unknown, unknown},
		{"server error", frame[gocql.UnknownServerError](gocql.ErrCodeServer), unknown, unknown},
		{"overloaded", frame[gocql.UnknownServerError](gocql.ErrCodeOverloaded), unknown, unknown},
		{"bootstrapping", frame[gocql.UnknownServerError](gocql.ErrCodeBootstrapping), unknown, unknown},
		{"a code of the future", frame[gocql.UnknownServerError](0x1900), unknown, unknown},
		{"syntax", frame[gocql.UnknownServerError](gocql.ErrCodeSyntax), away, away},
		{"invalid", frame[gocql.UnknownServerError](gocql.ErrCodeInvalid), away, away},
		{"unauthorized", frame[gocql.UnknownServerError](gocql.ErrCodeUnauthorized), away, away},
		{"configuration", frame[gocql.UnknownServerError](gocql.ErrCodeConfig), away, away},
		{"protocol", frame[gocql.UnknownServerError](gocql.ErrCodeProtocol), away, away},
		{"credentials", frame[gocql.UnknownServerError](gocql.ErrCodeCredentials), away, away},
		{"unprepared", frame[gocql.RequestErrUnprepared](gocql.ErrCodeUnprepared), away, away},
		// The library's own errors.
		{"no streams", gocql.ErrNoStreams, away, away},
		{"host down", gocql.ErrHostDown, away, away},
		{"no pool", gocql.ErrNoPool, away, away},
		{"no connections in the pool", gocql.ErrNoConnectionsInPool, away, away},
		{"no connections", gocql.ErrNoConnections, away, away},
		{"session closed", gocql.ErrSessionClosed, away, away},
		{"session not ready", gocql.ErrSessionNotReady, away, away},
		{"too many statements", gocql.ErrTooManyStmts, away, away},
		{"no response", gocql.ErrTimeoutNoResponse, unknown, unknown},
		{"too many timeouts", gocql.ErrTooManyTimeouts, unknown, unknown},
		{"frame too big", gocql.ErrFrameTooBig, unknown, unknown},
		{"protocol error of the answer", gocql.NewErrProtocol("what"), unknown, unknown},
		{"cancelled", context.Canceled, unknown, unknown},
		{"deadline", context.DeadlineExceeded, unknown, unknown},
		{"end of file", io.EOF, unknown, unknown},
		{"anything else", errors.New("?"), unknown, unknown},
	} {
		for _, x := range []struct {
			k    kind
			err  error
			want error
		}{
			{plain, attempt(tt.err, false), tt.plain},
			{conditional, attempt(tt.err, false), tt.conditional},
			{conditional, fmt.Errorf("wrapped: %w", attempt(tt.err, false)), tt.conditional},
			// An attempt of the same call before this one may have been executed: whatever the last one says.
			{plain, attempt(tt.err, true), unknown},
			{conditional, attempt(tt.err, true), unknown},
			{reading, attempt(tt.err, true), away},
			{reading, tt.err, away},
		} {
			got := outcome(x.k, x.err)
			if !errors.Is(got, x.want) || errors.Is(got, away) == errors.Is(got, unknown) {
				t.Errorf("%s, kind %d: %v, want %v", tt.name, x.k, got, x.want)
			}
			if !errors.Is(got, tt.err) {
				t.Errorf("%s: the cause is lost: %v", tt.name, got)
			}
		}
	}
	// A connection that was closed before anything was sent on it, and one that closed while we waited.
	if got := outcome(conditional, attempt(gocql.ErrConnectionClosed, false)); !errors.Is(got, away) {
		t.Errorf("closed before: %v", got)
	}
	if got := outcome(plain, attempt(gocql.ErrConnectionClosed, true)); !errors.Is(got, unknown) {
		t.Errorf("closed while waiting: %v", got)
	}
	if outcome(plain, nil) != nil {
		t.Error("no error became one")
	}
}
