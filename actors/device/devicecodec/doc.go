// Package devicecodec is the stored form of a device's events: explicit kinds, protobuf payloads.
//
// It is not the wire: messages of the live protocol and between grains are the shell's to translate. Kinds are
// append only; an unknown kind or format is an error, never skipped: whoever cannot read an event cannot know
// what the ones behind it mean.
package devicecodec
