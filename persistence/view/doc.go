// Package view is the query tables: what lists, rosters, feeds and results are read from. The projector
// (pipeline/project) writes them from the journals; gateway and tools read them.
//
// It is never the truth and never decides: everything here can be rebuilt from the journals, and it lags behind
// them by the cursor of each grain (WaitFor waits for it). All rows that follow from an event are written in one
// go with the cursor, so a reader sees an event's rows or none of them, and an event twice changes nothing.
//
// Rows about a person (display, trainings) are sealed with that person's key; a person whose key is gone reads
// as Erased. A handle is looked up by a blinded value. Everything else holds ids and derived categories only.
package view
