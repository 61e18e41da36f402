package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// What strict sets. All answers share these lists; who wants another value sets
// another list.
var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noContent  = []string{"default-src 'none'; frame-ancestors 'none'"}
	sameOrigin = []string{"same-origin"}
	noReferrer = []string{"no-referrer"}
)

// strict sets the headers that keep a browser from doing anything with an
// answer but show it to who asked.
func strict(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Cache-Control"] = noStore
		h["Content-Security-Policy"] = noContent
		h["Cross-Origin-Resource-Policy"] = sameOrigin
		h["Referrer-Policy"] = noReferrer
		next.ServeHTTP(w, r)
	})
}

// watch reports each request, logs it at debug, but for the quiet routes, and
// turns a panic into a problem and one line with the stack.
func (s *Server) watch(next http.Handler, quiet map[string]bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				s.panicked(rec, r, cause)
			}
			s.deps.Requests.Served(strings.TrimSuffix(r.Pattern, "/"), r.Method, rec.status, time.Since(began))
			// ServeMux has left the route in r.Pattern.
			if !quiet[r.Pattern] && s.deps.Log.Enabled(r.Context(), slog.LevelDebug) {
				s.deps.Log.Debug("HTTP request", "method", r.Method, "route", r.Pattern,
					"path", fmt.Sprintf("%.200s", r.URL.EscapedPath()),
					"status", rec.status, "bytes", rec.bytes, "took", time.Since(began))
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

func (s *Server) panicked(w *recorder, r *http.Request, cause any) {
	if cause == http.ErrAbortHandler { //nolint:errorlint // a recovered value, compared as net/http does
		panic(cause) // net/http's own way to say that the connection is to be cut
	}
	s.deps.Log.Error("HTTP handler panicked", "route", r.Pattern,
		"error", fmt.Errorf("panic: %v", cause), "stack", string(debug.Stack()))
	if w.status == 0 {
		writeProblem(w, problemOf(fmt.Errorf("panic: %v", cause)))
		return
	}
	// Half an answer went out: only a cut connection tells the client.
	panic(http.ErrAbortHandler)
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
