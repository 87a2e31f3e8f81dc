package rest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"paceline/domain/fault"
)

// Faults of a request's body.
var (
	ErrMalformed = fault.New(fault.Invalid, "rest.malformed", "The request cannot be read.")
	ErrTooLarge  = fault.New(fault.Exhausted, "rest.too_large", "The request is too large.")
)

// Connect reads, unpacks and decodes a body before any interceptor sees the call, and what goes wrong there it answers
// in its own words, without a code. It hands on an error of a reader that is Connect's already, so the readers here say
// what is wrong themselves; of a codec it hands on none, so a codec here notes it in the message (see mark).

const (
	envelopeBytes = 5 // before each message of gRPC and of Connect's streams
	// maxDrainBytes is how much of a body that is too large is read and thrown away: a client that is still writing does
	// not read the answer.
	maxDrainBytes = 16 << 20
	maxWhyBytes   = 200
)

// limited serves requests whose body is bounded.
func limited(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &boundedBody{bounded{in: r.Body, left: maxRequestBytes + envelopeBytes, drain: maxDrainBytes}, r.Body}
		h.ServeHTTP(w, r)
	})
}

type boundedBody struct {
	bounded
	io.Closer
}

// bounded is a reader that says no beyond its bound.
type bounded struct {
	in          io.Reader
	left, drain int64
	err         error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.in.Read(p)
	if int64(n) > b.left {
		_, _ = io.CopyN(io.Discard, b.in, b.drain)
		b.err = status(ErrTooLarge.With("at most %d bytes", maxRequestBytes), "")
		return int(b.left), b.err
	}
	b.left -= int64(n)
	b.err = err
	return n, err
}

// gunzip unpacks a body within the same bound. Whatever is wrong is said by Read.
type gunzip struct {
	z   gzip.Reader
	out bounded
	err error
}

func newGunzip() connect.Decompressor { return &gunzip{} }

// Reset implements connect.Decompressor.
func (g *gunzip) Reset(r io.Reader) error {
	g.err = g.z.Reset(r)
	g.out = bounded{in: &g.z, left: maxRequestBytes}
	return nil
}

// Read implements connect.Decompressor.
func (g *gunzip) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, status(ErrMalformed.With("gzip"), "")
	}
	n, err := g.out.Read(p)
	var ours *connect.Error
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &ours) {
		err = status(ErrMalformed.With("gzip"), "")
	}
	return n, err
}

// Close implements connect.Decompressor.
func (g *gunzip) Close() error { return nil }

func newGzip() connect.Compressor { return gzip.NewWriter(io.Discard) }

// codec reads and writes messages as Connect's own does, but takes every body: one that cannot be read becomes an empty
// message with a mark, which the guard refuses.
type codec struct {
	name string
	json bool
}

func codecs() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithCodec(codec{name: "proto"}),
		connect.WithCodec(codec{name: "json", json: true}),
		connect.WithCodec(codec{name: "json; charset=utf-8", json: true}),
	}
}

var errNoMessage = errors.New("rest: not a protobuf message")

// Name implements connect.Codec.
func (c codec) Name() string { return c.name }

// Marshal implements connect.Codec.
func (c codec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend lets Connect write into its own buffers.
func (c codec) MarshalAppend(to []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	switch {
	case !ok:
		return nil, errNoMessage
	case c.json:
		return protojson.MarshalOptions{}.MarshalAppend(to, m)
	}
	return proto.MarshalOptions{}.MarshalAppend(to, m)
}

// Unmarshal implements connect.Codec. Fields that are not known are skipped: they may be of a newer client.
func (c codec) Unmarshal(b []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return errNoMessage
	}
	var err error
	if c.json {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, m)
	} else {
		err = proto.Unmarshal(b, m)
	}
	if err != nil {
		proto.Reset(m)
		m.ProtoReflect().SetUnknown(mark(why(err)))
	}
	return nil
}

// markField is no field of any message: the last number that there is.
const markField = protowire.MaxValidNumber

var markTag = protowire.AppendTag(nil, markField, protowire.BytesType)

// mark is an unknown field that says why a message could not be read. A client that sends one has said so itself.
func mark(why string) []byte { return protowire.AppendString(bytes.Clone(markTag), why) }

// unread is the refusal of a message that a codec has marked.
func unread(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	rest, marked := bytes.CutPrefix(m.ProtoReflect().GetUnknown(), markTag)
	if !marked {
		return nil
	}
	f := *ErrMalformed
	if why, n := protowire.ConsumeString(rest); n > 0 {
		f.Detail = strings.ToValidUTF8(why[:min(len(why), maxWhyBytes)], "")
	}
	return &f
}

// why is what a library says of a body, without its name and without the value that it did not like.
func why(err error) string {
	s := strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
	if i := strings.Index(s, ": "); i >= 0 && strings.HasPrefix(s, "(line ") {
		place, what := s[:i], s[i+2:]
		what, _, _ = strings.Cut(what, ": ")
		return place + " " + what
	}
	return s
}

// checked refuses what a codec has marked.
type checked struct{ connect.StreamingHandlerConn }

// Receive implements connect.StreamingHandlerConn.
func (c checked) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return unread(message)
}
