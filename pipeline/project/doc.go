// Package project is the view projector: it takes the events of each grain and writes the query tables.
//
// It is behind persistence.EventStream until there is a broker: Publish returns once the rows that follow from
// the events are durable, with the version through which they are. It takes an event twice without harm: rows
// and cursor of a grain are one write, it goes on with cursor + 1, drops what is lower, and on a hole reads the
// journal. It decides nothing and sends nothing. Everything that it wrote can be made anew (Rebuild).
//
// Each kind of grain has one file with one function from an event to rows. A kind without one has no views: its
// events count as taken at once. An event that this program cannot read stops the grain's views, loudly.
package project
