// Package trace names what a client asked for, from the edge to the journal: a trace is 16 bytes as 32 hexadecimal
// digits, the trace id of W3C's Trace Context.
package trace

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// Headers of a request and of its answer.
const (
	Parent = "Traceparent" // W3C: of the request; the trace id in it is taken over
	ID     = "Trace-Id"    // of the answer
)

const (
	idDigits     = 32
	parentDigits = 16
	version0Len  = len("00-") + idDigits + len("-") + parentDigits + len("-01")
)

// New is a trace that nobody else has.
func New() string {
	var b [idDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// From is the trace that a request's headers name, or false: none, or none that is valid.
func From(h http.Header) (string, bool) {
	all := h.Values(Parent)
	if len(all) != 1 {
		return "", false
	}
	return parse(all[0])
}

// Of is the trace of a request: the one that it names, else a new one.
func Of(h http.Header) string {
	if t, ok := From(h); ok {
		return t
	}
	return New()
}

// parse reads version-trace-parent-flags. A later version may say more behind it.
func parse(v string) (string, bool) {
	if len(v) < version0Len || len(v) > version0Len && (v[:2] == "00" || v[version0Len] != '-') {
		return "", false
	}
	part := strings.SplitN(v[:version0Len], "-", 4)
	if len(part) != 4 || !digits(part[0], 2) || part[0] == "ff" || !digits(part[3], 2) {
		return "", false
	}
	if !digits(part[2], parentDigits) || zero(part[2]) || !digits(part[1], idDigits) || zero(part[1]) {
		return "", false
	}
	return part[1], true
}

// digits reports n hexadecimal digits, small ones.
func digits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

func zero(s string) bool { return strings.Trim(s, "0") == "" }
