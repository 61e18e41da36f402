package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
)

func TestAnAnswerTheClientHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, target := range []string{"/v1/stock/421", "/v1/stock?goods_id=421&goods_id=9"} {
		first := b.get(t, target)
		tag := first.Header().Get("ETag")
		ask := func(method string, conditions ...string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, target, nil)
			r.Header["If-None-Match"] = conditions
			return b.do(t, r)
		}
		for _, conditions := range [][]string{{tag}, {"W/" + tag}, {"*"}, {`"other", ` + tag}, {`"other"`, tag}} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				rec := ask(method, conditions...)
				if rec.Code != http.StatusNotModified || rec.Body.Len() > 0 || rec.Header().Get("Content-Type") != "" {
					t.Errorf("%s %s if none match %q: %d with %q", method, target, conditions, rec.Code, rec.Body)
				}
				for _, name := range []string{"ETag", "Cache-Control", "Age"} {
					if got, want := rec.Header().Get(name), first.Header().Get(name); got != want || want == "" {
						t.Errorf("%s %s: %s is %q with the answer and %q without", method, target, name, want, got)
					}
				}
			}
		}
		for _, conditions := range [][]string{nil, {`"other"`}, {strings.Trim(tag, `"`)}, {""}} {
			if rec := ask(http.MethodGet, conditions...); rec.Code != http.StatusOK || rec.Body.String() != first.Body.String() {
				t.Errorf("%s if none match %q: %d with %q", target, conditions, rec.Code, rec.Body)
			}
		}
		// Another level is another answer; another age is not.
		changed := levels["421"]
		changed.Available++
		b.deps.Levels = catalogue{levels: map[string]stock.Level{"421": changed}}
		if rec := ask(http.MethodGet, tag); rec.Code != http.StatusOK || rec.Header().Get("Age") != "0" {
			t.Errorf("%s after a change: %d, Age %s", target, rec.Code, rec.Header().Get("Age"))
		}
		b.deps.Levels = catalogue{levels: levels}
		if rec := ask(http.MethodGet, tag); rec.Code != http.StatusNotModified {
			t.Errorf("%s of another age: %d", target, rec.Code)
		}
	}
}

func TestRequestsAreReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.get(t, "/v1/stock/421")
	b.get(t, "/v1/stock/9")
	b.get(t, "/livez")
	b.get(t, "/nothing?here")
	b.get(t, "//v1/stock/421")
	b.do(t, httptest.NewRequest(http.MethodDelete, "/v1/stock", nil))
	want := []string{
		"GET /v1/stock/{goods_id} 200 true", "GET /v1/stock/{goods_id} 404 true", "GET /livez 200 true",
		"GET  404 true", "GET  404 true", "DELETE /v1/stock 405 true",
	}
	if diff := cmp.Diff(want, b.served.list); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}
