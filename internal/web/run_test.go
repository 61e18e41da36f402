package web

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/stock"
)

func TestRunLetsRequestsInProgressEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	b.deps.Orders = lookup(func(ctx context.Context, _ string) (stock.Record, error) {
		close(asked)
		select {
		case <-answer:
			return records["A-1001"], nil
		case <-ctx.Done():
			return stock.Record{}, ctx.Err()
		}
	})
	b.cfg.LookupTimeout, b.cfg.ShutdownTimeout = time.Minute, time.Minute
	addr, stop := b.start(t)
	type reply struct {
		status int
		err    error
	}
	got := make(chan reply, 1)
	go func() {
		status, _, err := rawAsk(addr, "/v1/orders/A-1001")
		got <- reply{status, err}
	}()
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	// The listener is closed first; once it refuses, Run is waiting for us.
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(answer)
	if r := <-got; r.err != nil || r.status != 200 {
		t.Errorf("the request in progress was answered with %d, %v, want 200", r.status, r.err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := make(chan struct{})
	left := make(chan struct{})
	b.deps.Orders = lookup(func(ctx context.Context, _ string) (stock.Record, error) {
		defer close(left)
		close(asked)
		<-ctx.Done()
		return stock.Record{}, ctx.Err()
	})
	b.cfg.LookupTimeout, b.cfg.ShutdownTimeout = time.Minute, time.Millisecond
	addr, stop := b.start(t)
	failed := make(chan error, 1)
	go func() {
		_, _, err := rawAsk(addr, "/v1/orders/A-1001")
		failed <- err
	}()
	<-asked
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	<-left
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
	if !strings.Contains(b.log.String(), "cut off") {
		t.Errorf("nothing was said of it:\n%s", b.log)
	}
}

// TestAProfileMayTakeLongerThanOtherRequests holds that the package pprof
// reaches the connection, through our writer, to ask for more time.
func TestAProfileMayTakeLongerThanOtherRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Pprof = true
	b.timeout = 2 * time.Second // also for what a busy machine needs around the trace
	addr, _ := b.start(t)
	const asked = 2100 * time.Millisecond
	began := time.Now()
	status, body := rawGet(t, addr, "/debug/pprof/trace?seconds=2.1")
	if took := time.Since(began); status != 200 || body == "" || took < asked {
		t.Errorf("answer is %d with %d bytes after %s, want a trace of %s", status, len(body), took, asked)
	}
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	addr, _ := setup(t).start(t)
	// net/http reads 4 KiB more than it is told to.
	const tooLarge = maxHeaderBytes + 4<<10
	if status, _ := rawGet(t, addr, "/v1/stock?goods_id="+strings.Repeat("x", tooLarge)); status != 431 {
		t.Errorf("status is %d, want 431", status)
	}
}

func TestRunSaysWhichAddressCannotBeServed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	b := setup(t)
	b.cfg.Addr = taken.Addr().String()
	if err := b.server(t).Run(t.Context()); err == nil || !strings.Contains(err.Error(), b.cfg.Addr) {
		t.Errorf("Run: %v, want the address in it", err)
	}
}

func TestRunThatIsEndedBeforeItBeginsIsNoError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := setup(t).server(t).Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAnAddressThatOthersReachIsSaidSo(t *testing.T) {
	t.Parallel()
	const warning = "reachable from other machines"
	for addr, want := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true} {
		b := setup(t)
		b.cfg.Addr = addr
		_, stop := b.start(t)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := strings.Contains(b.log.String(), warning); got != want {
			t.Errorf("%s: warned: %v, want %v", addr, got, want)
		}
	}
}

func TestNewRefusesToLackADependency(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*Deps){
		"orders":   func(d *Deps) { d.Orders = nil },
		"levels":   func(d *Deps) { d.Levels = nil },
		"health":   func(d *Deps) { d.Health = nil },
		"metrics":  func(d *Deps) { d.Metrics = nil },
		"requests": func(d *Deps) { d.Requests = nil },
		"log":      func(d *Deps) { d.Log = nil },
	} {
		b := setup(t)
		remove(&b.deps)
		if _, err := New(b.cfg, b.deps); err == nil {
			t.Errorf("a server without %s was made", name)
		}
	}
	b := setup(t)
	if s, err := New(Config{}, b.deps); err != nil || s.cfg.Addr != DefaultAddr || !strings.HasPrefix(DefaultAddr, "127.0.0.1:") {
		t.Errorf("by default the server listens on %q, %v", s.cfg.Addr, err)
	}
}
