package world

import (
	"io"

	"paceline/pipeline/bundle"
)

// Export writes the bundle of the race's newest result, as a node would.
func (w *World) Export(out io.Writer) error {
	return bundle.Write(background, w.stored, w.plan.competition, out)
}
