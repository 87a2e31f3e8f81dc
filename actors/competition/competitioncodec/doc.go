// Package competitioncodec is the stored form of a race's events, and the messages of which rules understand the parts.
//
// It decides nothing. Every kind of event has an explicit number that never changes and is never used again; the
// payload is the protobuf message of that name. Golden bytes of every kind lie in testdata. An unknown kind or format,
// and bytes that are not the message, are refused loudly: what cannot be read must not be skipped.
package competitioncodec
