package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/telemetry"
)

// written is a connection that forgets what it is sent.
type written struct{ header http.Header }

func (w written) Header() http.Header         { return w.header }
func (w written) WriteHeader(int)             {}
func (w written) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkLevel is what one question costs between net/http and the look-up.
func BenchmarkLevel(b *testing.B) {
	metrics := telemetry.NewMetrics(telemetry.MetricsConfig{})
	known := catalogue{levels: map[string]stock.Level{"421": {Goods: "421", Available: 7, Version: 3, UpdatedAt: time.Now()}}}
	s, err := New(Config{}, Deps{
		Orders: lookup(nil), Levels: known, Health: telemetry.NewHealth(telemetry.HealthConfig{}), Metrics: metrics.Handler(),
		Requests: metrics, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/v1/stock/421", nil)
	w := written{make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		s.ServeHTTP(w, r)
	}
	if w.header.Get("ETag") == "" {
		b.Fatal("no answer")
	}
}
