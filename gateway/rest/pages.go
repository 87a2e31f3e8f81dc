package rest

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// pages serves the node's pages. A path that is no file and has no extension is a place in the page's own
// navigation and gets index.html.
func pages(files fs.FS) http.Handler {
	server := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // the node's binary decides what the page is; a check costs one round trip
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if name != "" && path.Ext(name) == "" {
			if _, err := fs.Stat(files, name); err != nil {
				r = r.Clone(r.Context())
				r.URL.Path = "/"
			}
		}
		server.ServeHTTP(w, r)
	})
}
