package web

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/telemetry"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lookup is an Orders of one function.
type lookup func(ctx context.Context, order string) (stock.Record, error)

func (f lookup) Lookup(ctx context.Context, order string) (stock.Record, error) { return f(ctx, order) }

// catalogue is a Levels in memory; fail, if set, is what every question gets.
type catalogue struct {
	levels map[string]stock.Level
	age    time.Duration
	fail   error
}

func (c catalogue) Levels(_ context.Context, goods []string) (map[string]stock.Level, time.Duration, error) {
	if c.fail != nil {
		return nil, 0, c.fail
	}
	known := make(map[string]stock.Level)
	for _, id := range goods {
		if level, ok := c.levels[id]; ok {
			known[id] = level
		}
	}
	return known, c.age, nil
}

// served collects what is reported of requests.
type served struct {
	mu   sync.Mutex
	list []string
}

func (s *served) Served(route, method string, status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprintf("%s %s %d %t", method, route, status, took >= 0))
}

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// bundle is one test's world. A test changes cfg and deps before it calls
// server or start.
type bundle struct {
	cfg    Config
	deps   Deps
	health *telemetry.Health
	log    *logged
	served *served
	// timeout, if set, is the server's for reading and for writing.
	timeout time.Duration
}

// levelsAge is how old the levels of every test's world are.
const levelsAge = 1999 * time.Millisecond

var decidedAt = time.Date(2026, 11, 23, 1, 2, 3, 45e6, time.UTC)

// setup returns a world that knows the order and the goods of the golden files.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{log: &logged{}, served: &served{}}
	b.health = telemetry.NewHealth(telemetry.HealthConfig{
		Required: []string{telemetry.DependencyDatabase}, Optional: []string{telemetry.DependencyRedis},
	})
	b.deps = Deps{
		Orders: lookup(func(_ context.Context, id string) (stock.Record, error) {
			if record, ok := records[id]; ok {
				return record, nil
			}
			return stock.Record{}, errors.Join(errors.New("read order"), stock.ErrNotFound)
		}),
		Levels:   catalogue{levels: levels, age: levelsAge},
		Health:   b.health,
		Metrics:  telemetry.NewMetrics(telemetry.MetricsConfig{}).Handler(),
		Requests: b.served,
		Log:      slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b.cfg.Addr = "127.0.0.1:0"
	return b
}

func (b *bundle) server(t *testing.T) *Server {
	t.Helper()
	s, err := New(b.cfg, b.deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks without a network.
func (b *bundle) get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	return b.do(t, httptest.NewRequest(http.MethodGet, target, nil))
}

func (b *bundle) do(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	b.server(t).ServeHTTP(rec, r)
	return rec
}

// start runs the server on a free port and returns the address and what ends it
// and returns Run's error.
func (b *bundle) start(t *testing.T) (addr string, stop func() error) {
	t.Helper()
	bound := make(chan net.Addr, 1)
	b.cfg.OnListen = func(a net.Addr) { bound <- a }
	s := b.server(t)
	if b.timeout != 0 {
		s.timeout = b.timeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	select {
	case a := <-bound:
		return a.String(), stop
	case err := <-ended:
		t.Fatalf("Run: %v", err)
		return "", nil
	}
}

// golden compares got with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run the test with -update to make it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
