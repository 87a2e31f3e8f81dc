// Package track translates tracks and bases between rules and protobuf, for all codecs and shells that carry them.
//
// It does not judge: course.New does. A gate of a GPS course whose at_mm is 0 is looked for on the line, unless it
// is the start, which then stands where the line begins; so a client may leave at_mm out.
package track
