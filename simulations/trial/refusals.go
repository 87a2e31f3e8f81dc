package trial

import (
	"fmt"
	"maps"
	"slices"

	"paceline/simulations/swarm"
)

// allowed is a refusal for now that is no error which a client sees.
type allowed struct {
	why  string
	each int // that one device may get
}

// mayBeRefused are the codes that may appear while nodes come and go: a client sees no error but a reconnect (G7), and these
// belong to coming back. Whoever adds one says here why its client has nothing to tell its user.
var mayBeRefused = map[string]allowed{
	"stream.opening": {each: 32, why: "The device's grain has moved, and its session opens the stream anew on the connection that stays. " +
		"Frames that the client had sent before it heard of that are answered so, as many as it may have under way; it waits for stream_opened and sends them again."},
	"stream.gap": {each: 8, why: "The same a moment later: the stream is open anew, and a frame that the client sent before it heard of that " +
		"comes behind those that were refused. It is told once which seq is expected, and goes back to it; that nothing is missing is looked at by digest."},
}

// refusals: whatever a node refuses is an error that a client saw, but what is allowed.
func (o *Outcome) refusals(report *swarm.Report, devices int) {
	for _, code := range slices.Sorted(maps.Keys(report.Later)) {
		n, may := report.Later[code], mayBeRefused[code]
		switch {
		case may.each == 0:
			o.Failed = append(o.Failed, fmt.Sprintf("a client was refused with %s for now, %d times", code, n))
		case n > may.each*devices:
			o.Failed = append(o.Failed, fmt.Sprintf("%d devices were refused with %s for now %d times, at most %d each may be", devices, code, n, may.each))
		default:
			o.Notes = append(o.Notes, fmt.Sprintf("%d× %s", n, code))
		}
	}
	for _, code := range slices.Sorted(maps.Keys(report.Never)) {
		o.Failed = append(o.Failed, fmt.Sprintf("a client saw %s, %d times", code, report.Never[code]))
	}
}
