package instance

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/job"
)

func TestWhatAJobCameToIsSeenFromOutside(t *testing.T) {
	t.Parallel()
	o := jobObserver{newTestObserver(t)}
	o.JobSeen(job.Record{Job: JobAudit, State: job.Failed, Error: "1 finding", Result: `{"summary":{"findings":1}}`, FinishedAt: time.Now()})
	for _, text := range []string{`order_job_failing{job="audit"} 1`, "order_audit_findings 1"} {
		if got := metricsOf(t, o); !strings.Contains(got, text) {
			t.Errorf("metrics lack %s", text)
		}
	}
	warned := false
	for _, line := range o.health.Ready().Lines {
		warned = warned || strings.Contains(line.String(), "[!]audit: 1 finding")
	}
	if !warned {
		t.Errorf("readiness does not warn: %v", o.health.Ready().Lines)
	}
	o.JobSeen(job.Record{Job: JobAudit, State: job.Done, Result: `{"summary":{"findings":0}}`, FinishedAt: time.Now()})
	if got := metricsOf(t, o); !strings.Contains(got, "order_audit_findings 0") || !strings.Contains(got, `order_job_failing{job="audit"} 0`) {
		t.Error("what was found stays after a clean audit")
	}
}

// metricsOf is what a scraper reads.
func metricsOf(t *testing.T, o jobObserver) string {
	t.Helper()
	w := httptest.NewRecorder()
	o.Metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return w.Body.String()
}
