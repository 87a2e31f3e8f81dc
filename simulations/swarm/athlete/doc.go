// Package athlete is the project's own athletes: riders and runners who move by physics along a course and wear
// devices that measure them.
//
// It is not a model of a certain person and nothing of it reaches a result: what it makes are recordings, which
// go through the product like anybody's. Riders follow Martin et al. 1998 (power against gravity, rolling and air
// drag, with the drag of a rider behind another reduced), runners the energy cost of Minetti et al. 2002. Both tire:
// what is done above the critical power is paid from a reserve that refills below it (Skiba et al. 2015). Sensors
// add noise, fall silent and come back.
//
// Invariants: the same Field gives the same bytes (on one architecture: others may fuse multiply and add); positions
// and altitudes come from the course alone; distance never falls. Inside are SI units and floating point; what comes
// out is integers in the units of domain/sample.
package athlete
