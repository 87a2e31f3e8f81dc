package main

import (
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/device/devicecodec"
	"paceline/actors/machine"
	"paceline/actors/training/trainingcodec"
	"paceline/actors/user/usercodec"
)

// formats are of what this release writes and an older one could not read. A folder remembers them; what is higher there
// than here was written by a newer release. Events need no number: a grain refuses the first one that it does not know.
func formats() map[string]int {
	return map[string]int{
		"snapshots":              machine.SnapshotFormat,
		"snapshots of races":     competitioncodec.StateFormat,
		"snapshots of devices":   devicecodec.StateFormat,
		"snapshots of workouts":  trainingcodec.StateFormat,
		"snapshots of the users": usercodec.StateFormat,
	}
}
