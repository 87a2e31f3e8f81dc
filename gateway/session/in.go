package session

import (
	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/gateway/auth"
)

// Received is a frame that wire.Decode accepted.
type Received struct {
	Msg   *livev1.ClientMessage
	Bytes int // of the frame
}

// Malformed is a frame that wire.Decode refused. Msg is set if it could be read.
type Malformed struct {
	Msg *livev1.ClientMessage
	Err error
}

// Answered is the outcome of a Request.
type Answered struct {
	Tag uint64
	Msg proto.Message
	Err error
}

// Looked is the outcome of a Lookup.
type Looked struct {
	Tag      uint64
	Resource auth.Resource
	Training string // of a workout: "<person>/<id>"
	Err      error
}

// HubRefused says that the hub does not serve a subscription.
type HubRefused struct {
	Topic, Cut string
	Tag        uint64 // of the Subscribe
	Err        error
}

// Leave says that the node goes away.
type Leave struct {
	Reason         string
	Address        string // where to go; empty: the same address
	ReconnectAfter unit.DurationMs
}

// Disconnected says that the socket is gone. Nothing can be sent any more.
type Disconnected struct{}
