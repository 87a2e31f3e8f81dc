// Package gpx reads and writes GPX 1.1 tracks as far as courses and replays need them.
//
// It is not a file format of the product (nothing that a node serves reads files) and not a general reader: one
// track, its segments joined, waypoints and routes left out. It does not judge: times that go back or stand still
// come out as they are in the file.
//
// Why not a library: the one that was tried (tkrajina/gpxgo v1.5.0) cuts fractions of a second and keeps degrees as
// floating point. Here every decimal of the text counts. Units: positions in 1e-7 degrees, altitude in millimetres,
// times in milliseconds.
package gpx
