package step

import "paceline/domain/unit"

// Meta is what a command brings along: rules have no clock and know nobody.
type Meta struct {
	At        unit.InstantMs // node clock
	By        string         // principal, an id only
	CommandID string         // UUIDv7; the same id again gets the first answer. Empty: the grain's own command
	Trace     string
}

// CommandMeta makes every command that embeds Meta a machine.Command.
func (m Meta) CommandMeta() Meta { return m }
