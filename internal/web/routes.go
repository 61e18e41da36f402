package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"path"
	"strconv"
	"strings"
)

// answer handles one request; an error that it returns becomes a problem, see
// problemOf.
type answer func(http.ResponseWriter, *http.Request) error

// route is one thing that can be asked for with GET.
type route struct {
	pattern string
	answer  answer
	// quiet routes are asked every few seconds by machines and are not logged.
	quiet bool
	// hidden routes are no part of the contract.
	hidden bool
}

// routes are all there are; contract/openapi.yaml describes the same.
func (s *Server) routes() []route {
	ready := probe("readyz", s.deps.Health.Ready)
	all := []route{
		{pattern: "/livez", answer: probe("livez", s.deps.Health.Live), quiet: true},
		{pattern: "/readyz", answer: ready, quiet: true},
		{pattern: "/healthz", answer: ready, quiet: true},
		{pattern: "/metrics", answer: plain(s.deps.Metrics.ServeHTTP), quiet: true},
		{pattern: "/v1/orders/{order_id}", answer: s.getOrder},
		{pattern: "/v1/stock", answer: s.getLevels},
		{pattern: "/v1/stock/{goods_id}", answer: s.getLevel},
	}
	if s.cfg.Pprof {
		// Without cmdline: flags may hold secrets.
		all = append(all,
			route{pattern: "/debug/pprof/", answer: plain(pprof.Index), hidden: true},
			route{pattern: "/debug/pprof/profile", answer: plain(pprof.Profile), hidden: true},
			route{pattern: "/debug/pprof/symbol", answer: plain(pprof.Symbol), hidden: true},
			route{pattern: "/debug/pprof/trace", answer: plain(pprof.Trace), hidden: true},
		)
	}
	return all
}

// plain makes an answer of a handler that reports its own errors.
func plain(h http.HandlerFunc) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		h(w, r)
		return nil
	}
}

// newHandler returns the routes with what surrounds each of them.
func (s *Server) newHandler() http.Handler {
	mux := http.NewServeMux()
	quiet := map[string]bool{}
	var known []string
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.serve(onlyGet(r.answer)))
		quiet[r.pattern] = r.quiet
		if !r.hidden {
			known = append(known, "GET "+r.pattern)
		}
	}
	mux.Handle("/", s.serve(func(_ http.ResponseWriter, r *http.Request) error {
		return unknownRoute(r, known)
	}))
	clean := s.serve(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkBody(w, r); err != nil {
			return err
		}
		if !isClean(r.URL.EscapedPath()) {
			return unknownRoute(r, known)
		}
		mux.ServeHTTP(w, r)
		return nil
	})
	return strict(s.watch(clean, quiet))
}

// checkBody refuses a body that is too large for one that nobody is going to look
// at. One that tells its length is refused unread; one that does not, as large as
// it has become by then, and no later than a request may take.
func checkBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == http.NoBody {
		return nil
	}
	tooLarge := r.ContentLength > maxBodyBytes
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	if r.ContentLength < 0 {
		_, err := io.Copy(io.Discard, r.Body)
		_, tooLarge = errors.AsType[*http.MaxBytesError](err)
	}
	if !tooLarge {
		return nil // one that broke off is the loss of who sent it
	}
	w.Header().Set("Connection", "close") // or the rest of it would be read for the next request
	return newProblem(http.StatusRequestEntityTooLarge, "body_too_large",
		"no route reads a body, and one of more than "+strconv.Itoa(maxBodyBytes)+" bytes is not taken")
}

// isClean reports whether ServeMux takes the path as it is. It redirects any
// other one to the cleaned path and escapes that once more on the way, so that
// //v1/orders/a%2Fb would end at the order a%2Fb, which is not a/b.
func isClean(escaped string) bool {
	if escaped == "" || escaped[0] != '/' {
		return false
	}
	cleaned := path.Clean(escaped) // without a copy where it is clean
	if strings.HasSuffix(escaped, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned == escaped
}

// onlyGet refuses every method but GET and HEAD, whose body net/http drops.
func onlyGet(a answer) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			return newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this route only answers GET and HEAD")
		}
		return a(w, r)
	}
}

// serve turns an answer's error into a problem. What is wrong inside is logged
// here and nowhere else, and never told to the client.
func (s *Server) serve(a answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := a(w, r)
		if err == nil {
			return
		}
		p := problemOf(err)
		if p.Status == http.StatusInternalServerError {
			s.deps.Log.Error("HTTP request failed", "route", r.Pattern, "error", err)
		}
		writeProblem(w, p)
	})
}
