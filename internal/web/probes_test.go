package web

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/telemetry"
)

func TestProbesSayWhatFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ready := func() {
		b.health.Checked(telemetry.DependencyDatabase, nil)
		b.health.Checked(telemetry.DependencyRedis, errors.New("connection refused"))
		b.health.Joined(true)
	}
	for _, tt := range []struct {
		name, target string
		before       func()
		status       int
		body         string
	}{
		{"alive before anything is known", "/livez", nil, 200, "ok\n"},
		{"alive, in detail", "/livez?verbose", nil, 200, "[+]poll ok\n[+]progress ok\nlivez check passed\n"},
		{"not ready at first", "/readyz", nil, 503, "failing: database, group (?verbose says more)\n"},
		{"not ready, in detail", "/readyz?verbose", nil, 503, "[-]database: not checked yet (for 0s)\n" +
			"[!]redis: not checked yet (for 0s)\n[-]group: not joined (for 0s)\n[+]work ok\n[+]shutdown ok\nreadyz check failed\n"},
		{"ready although redis is away", "/readyz", ready, 200, "ok\n"},
		{"ready, in detail", "/readyz?verbose=1", nil, 200, "[+]database ok\n" +
			"[!]redis: connection refused (for 0s)\n[+]group ok\n[+]work ok\n[+]shutdown ok\nreadyz check passed\n"},
		{"the old name", "/healthz", nil, 200, "ok\n"},
		{"draining", "/readyz", b.health.Drain, 503, "failing: shutdown (?verbose says more)\n"},
		{"alive while it drains", "/livez", nil, 200, "ok\n"},
	} {
		if tt.before != nil {
			tt.before()
		}
		rec := b.get(t, tt.target)
		if rec.Code != tt.status || rec.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: answer is %d, %s", tt.name, rec.Code, rec.Header().Get("Content-Type"))
		}
		if diff := cmp.Diff(tt.body, rec.Body.String()); diff != "" {
			t.Errorf("%s: body (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	if rec := setup(t).get(t, "/metrics"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "order_build_info") {
		t.Errorf("answer is %d %.200s", rec.Code, rec.Body)
	}
}
