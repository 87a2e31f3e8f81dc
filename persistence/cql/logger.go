package cql

import (
	"fmt"
	"log/slog"
	"strings"
)

// logger hands the library's lines to a slog.Logger; it has no levels of its own.
type logger struct{ to *slog.Logger }

func (l logger) say(line string) {
	if l.to != nil {
		l.to.Info("cql", "says", strings.TrimSpace(line))
	}
}

// Print implements gocql.StdLogger.
func (l logger) Print(v ...any) { l.say(fmt.Sprint(v...)) }

// Printf implements gocql.StdLogger.
func (l logger) Printf(format string, v ...any) { l.say(fmt.Sprintf(format, v...)) }

// Println implements gocql.StdLogger.
func (l logger) Println(v ...any) { l.say(fmt.Sprintln(v...)) }
