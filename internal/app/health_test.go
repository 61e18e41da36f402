package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock/cache"
	"orderconsumer/internal/telemetry"
	"orderconsumer/internal/testkit"
	"orderconsumer/internal/web"
)

// serve answers probes from h until the test ends, and returns where.
func serve(t *testing.T, h *telemetry.Health) string {
	t.Helper()
	l := testkit.Start(t).OpenLedger(t)
	metrics := telemetry.NewMetrics(telemetry.MetricsConfig{})
	levels, err := cache.New(cache.Config{}, cache.Deps{Source: l, Observer: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(levels.Close)
	bound := make(chan net.Addr, 1)
	server, err := web.New(web.Config{Addr: "127.0.0.1:0", OnListen: func(a net.Addr) { bound <- a }}, web.Deps{
		Orders: l, Levels: levels, Health: h, Metrics: http.NotFoundHandler(), Requests: metrics, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		err := <-ended
		if err != nil {
			t.Error(err)
		}
	})
	return (<-bound).String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := telemetry.NewHealth(telemetry.HealthConfig{Required: []string{"database"}})
	addr := serve(t, h)
	h.Joined(true)
	h.Checked("database", nil)

	got := consume(t, "", "health", "--addr", addr).want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "[+]database ok\n", "check passed\n")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	consume(t, "", "health", "--ready", "--addr", "0.0.0.0:"+port).want(t, cli.ExitOK)
	consume(t, "", "health", "--live", "--addr", ":"+port).want(t, cli.ExitOK)

	h.Checked("database", errors.New("gone away"))
	got = consume(t, "", "health", "--addr", addr).want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stdout, "[-]database: gone away", "check failed\n")
	testkit.WantParts(t, got.stderr, "/readyz with 503")
	consume(t, "", "health", "--live", "--addr", addr).want(t, cli.ExitOK)
}

func TestHealthOfNobody(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		got := consume(t, "", "health", "--addr", "127.0.0.1:1").want(t, cli.ExitFailed)
		testkit.WantParts(t, got.stderr, "127.0.0.1:1", "consumer run")
	})
	t.Run("somebody listens and says nothing", func(t *testing.T) {
		t.Parallel()
		silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		got := consume(t, "", "health", "--timeout", "100ms", "--addr", silent.Addr().String()).want(t, cli.ExitFailed)
		testkit.WantParts(t, got.stderr, "no answer within 100ms")
	})
	t.Run("an address that is none", func(t *testing.T) {
		t.Parallel()
		for _, addr := range []string{"", "8080", "localhost"} {
			consume(t, "", "health", "--addr", addr).want(t, cli.ExitFailed)
		}
	})
	t.Run("both probes at once", func(t *testing.T) {
		t.Parallel()
		consume(t, "", "health", "--live", "--ready").want(t, cli.ExitUsage)
	})
}
