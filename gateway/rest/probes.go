package rest

import (
	"io"
	"net/http"

	"paceline/domain/fault"
)

// probe answers a supervisor: the word, or 503 and why in one line, its stable code first.
func probe(word string, check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if check != nil {
			if err := check(); err != nil {
				http.Error(w, fault.Of(err).Error(), http.StatusServiceUnavailable)
				return
			}
		}
		_, _ = io.WriteString(w, word+"\n")
	}
}
