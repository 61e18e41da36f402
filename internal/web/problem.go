package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/stock"
)

// retryAfterSeconds is what a client is asked to wait when something is away:
// long enough for a connection to be made again, short enough for a page.
const retryAfterSeconds = 2

// problem is an answer that is not what was asked for, as RFC 9457 has it. It
// is an error so that a handler can just return it.
type problem struct {
	// Type is about:blank: the status says it all, and Code the rest.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is a stable word for programs.
	Code string `json:"code"`
	// Detail is for people.
	Detail string   `json:"detail"`
	Routes []string `json:"routes,omitempty"`
}

// Error implements error.
func (p *problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func unknownRoute(r *http.Request, known []string) *problem {
	p := newProblem(http.StatusNotFound, "route_unknown", fmt.Sprintf("nothing is at %.200q", r.URL.EscapedPath()))
	p.Routes = known
	return p
}

// problemOf is the one place that decides what an error is over HTTP.
func problemOf(err error) *problem {
	p, isProblem := errors.AsType[*problem](err)
	switch {
	case isProblem:
		return p
	case errors.Is(err, stock.ErrNotFound):
		return newProblem(http.StatusNotFound, "unknown", "there is no such thing")
	case errors.Is(err, stock.ErrOverloaded):
		return newProblem(http.StatusServiceUnavailable, "overloaded", "more is asked for than the database may be asked just now")
	// Before the deadline: a database that cannot be reached in time is away.
	case errors.Is(err, stock.ErrUnavailable), errors.Is(err, stock.ErrBusy):
		return newProblem(http.StatusServiceUnavailable, "unavailable", "the database cannot be asked just now")
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusGatewayTimeout, "timeout", "the database did not answer in time")
	case errors.Is(err, context.Canceled):
		// The client has gone, or the server is closing; hardly anyone reads it.
		return newProblem(http.StatusServiceUnavailable, "canceled", "the request was given up")
	default:
		return newProblem(http.StatusInternalServerError, "internal", "something is wrong inside; the log says what")
	}
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusGatewayTimeout {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	body, err := encode(p)
	if err != nil {
		panic(err) // a struct of strings and numbers has a JSON form
	}
	writeBody(w, p.Status, typeProblem, body)
}

// writeAged answers with v, which is that old, or says that the client has it
// already. The tag is of the bytes: the same answer has the same one from every
// instance.
func writeAged(w http.ResponseWriter, r *http.Request, v any, age time.Duration) error {
	body, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:tagBytes]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h["Cache-Control"] = revalidate
	h.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeBody(w, http.StatusOK, typeJSON, body)
	return nil
}

// Values of headers, which all answers share.
var (
	revalidate  = []string{"no-cache"} // it may be kept, and must be asked for again each time
	typeJSON    = []string{"application/json"}
	typeProblem = []string{"application/problem+json"}
	typeText    = []string{"text/plain; charset=utf-8"}
)

// tagBytes of a hash tell any two answers apart that one client may ever hold.
const tagBytes = 12

// matches reports whether a condition names the tag. The comparison is the weak
// one, as RFC 9110 has it for If-None-Match.
func matches(conditions []string, tag string) bool {
	for _, condition := range conditions {
		for candidate := range strings.SplitSeq(condition, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// writeJSON answers with v. It fails before anything is written, or not at all.
func writeJSON(w http.ResponseWriter, v any) error {
	body, err := encode(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	writeBody(w, http.StatusOK, typeJSON, body)
	return nil
}

// encode returns the JSON of v and a line end. The characters that mean
// something in HTML stay as they are: nosniff keeps the answer from being any.
func encode(v any) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return body.Bytes(), err
}

func writeBody(w http.ResponseWriter, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// An error here is a client that has gone.
	_, _ = w.Write(body)
}
