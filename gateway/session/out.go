package session

import (
	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// Request asks a grain. Its outcome comes back as Answered{Tag}: an answer, a fault, or a fault at Deadline.
type Request struct {
	Tag      uint64
	To       id.Grain
	Msg      proto.Message
	Deadline unit.InstantMs // wall clock
	Bytes    int            // of the node's memory for frames under way (Deps.Take); free when the request has its outcome
}

// Frame goes to the client.
type Frame struct{ Msg *livev1.ServerMessage }

// Newest goes to the client unless a newer one with the same key has taken its place before it could be written, or
// its time is over by then. It never waits for anything but the socket.
type Newest struct {
	Key   string
	Msg   *livev1.ServerMessage
	Until unit.InstantMs // node clock
}

// Lookup asks the views what a decision about a topic needs. Its outcome comes back as Looked{Tag}.
type Lookup struct {
	Tag       uint64
	Topic     wire.Topic
	Principal auth.Principal
	Entry     uint32 // of a reaction: whom it is for; Topic is the race's board
}

// Subscribe makes the hub serve a cut of a topic to this connection. Epoch and Version: what the client has.
type Subscribe struct {
	Tag            uint64 // rises: a later one has taken the place of those before it
	Topic          wire.Topic
	Cut            wire.Cut
	Epoch, Version uint64
	Viewer         auth.Principal
	Training       string // of a workout
}

// Unsubscribe ends it.
type Unsubscribe struct {
	Topic wire.Topic
	Cut   wire.Cut
}

// Follow makes the node hold a replica of the competition's board while this connection lives: its acks carry a
// place.
type Follow struct{ Competition string }

// Gone ends everything the hub does for this connection.
type Gone struct{}

// Close ends the connection, after everything that was sent before it.
type Close struct{ Code wire.CloseCode }
