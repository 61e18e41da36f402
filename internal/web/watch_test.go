package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parsed returns the log lines as objects, without what differs between runs.
func (l *logged) parsed(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	dec := json.NewDecoder(strings.NewReader(l.String()))
	for dec.More() {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		delete(line, "time")
		delete(line, "took")
		out = append(out, line)
	}
	return out
}

func TestRequestsAreLoggedAtDebugAndProbesNever(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{"/livez", "/readyz?verbose", "/healthz", "/metrics"} {
		b.get(t, target)
	}
	body := b.get(t, "/v1/orders/a%2Fb").Body
	want := []map[string]any{{
		"level": "DEBUG", "msg": "HTTP request", "method": "GET", "route": "/v1/orders/{order_id}",
		"path": "/v1/orders/a%2Fb", "status": 404.0, "bytes": float64(body.Len()),
	}}
	if diff := cmp.Diff(want, b.log.parsed(t)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestAPanicIsAProblemAndOneLine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })
	rec := b.get(t, "/metrics")
	if rec.Code != 500 || !strings.Contains(rec.Body.String(), `"code":"internal"`) || strings.Contains(rec.Body.String(), "oops") {
		t.Errorf("answer is %d %s", rec.Code, rec.Body)
	}
	lines := b.log.parsed(t)
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["error"] != "panic: oops" ||
		!strings.Contains(lines[0]["stack"].(string), "TestAPanicIsAProblemAndOneLine") {
		t.Errorf("log is %v", lines)
	}
}

func TestAPanicAfterHalfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deps.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		panic("oops")
	})
	defer func() {
		if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // a recovered value, compared as net/http does
			t.Errorf("the handler ended with %v, want http.ErrAbortHandler", cause)
		}
	}()
	b.server(t).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
}
