// Package web answers over HTTP: what became of an order, how much of a goods
// is available, how the process is, and its metrics. It reads and never
// changes anything.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/telemetry"
)

// DefaultAddr is reached from this machine only: there is no authentication,
// and what is answered is a shop's business.
const DefaultAddr = "127.0.0.1:8080"

// Limits of the server itself.
const (
	// A client that needs longer for its header is not one, but holds a
	// connection.
	readHeaderTimeout = 5 * time.Second
	// A request has the look-up timeout and this for everything else. It is
	// above the nine seconds that a scrape may take.
	transferTimeout = 10 * time.Second
	idleTimeout     = 60 * time.Second
	// maxHeaderBytes holds a query for maxGoods ids of the greatest length, each
	// byte written as %XX, and as much again as clients usually send.
	maxHeaderBytes = 64 << 10
	// maxBodyBytes: no route reads a body.
	maxBodyBytes = 4 << 10

	defaultLookupTimeout   = 2 * time.Second
	defaultShutdownTimeout = 5 * time.Second
)

// Orders knows what became of orders.
type Orders interface {
	// Lookup returns the record of the order, or an error that is
	// stock.ErrNotFound, or stock.ErrUnavailable, or the context's.
	Lookup(ctx context.Context, order string) (stock.Record, error)
}

// Levels knows how much is available.
type Levels interface {
	// Levels returns the levels of those of the goods that are known, by goods, and
	// how old the oldest of the answers is. The goods are distinct. An error is
	// stock.ErrUnavailable, or stock.ErrOverloaded, or the context's.
	Levels(ctx context.Context, goods []string) (levels map[string]stock.Level, age time.Duration, err error)
}

// Requests is told of every request that was answered. It must not block.
type Requests interface {
	// Served reports the route as routes are written in the contract (empty: there
	// is none), the method, the status, and the time the answer took.
	Served(route, method string, status int, took time.Duration)
}

// Health answers probes. It must not ask any dependency to do so.
type Health interface {
	Live() telemetry.Report
	Ready() telemetry.Report
}

// Config says how to serve.
type Config struct {
	// Addr is host:port; port 0 takes a free one. Default DefaultAddr.
	Addr string
	// LookupTimeout bounds one look-up of an order or of levels. Default 2 s.
	LookupTimeout time.Duration
	// ShutdownTimeout is how long requests in progress get to end when Run is
	// told to stop; it should be above LookupTimeout. Default 5 s.
	ShutdownTimeout time.Duration
	// Pprof adds /debug/pprof/, which shows the program's inside to whoever
	// reaches the address and lets him use its CPU. Off by default.
	Pprof bool
	// OnListen is told the address that was bound, before the first request is
	// accepted. May be nil.
	OnListen func(net.Addr)
}

// Deps is what the server answers from. All are required.
type Deps struct {
	Orders   Orders
	Levels   Levels
	Health   Health
	Metrics  http.Handler
	Requests Requests
	Log      *slog.Logger
}

// Server is the HTTP side of one process.
type Server struct {
	cfg     Config
	deps    Deps
	handler http.Handler
	// timeout bounds reading a request, and finding and writing its answer.
	timeout time.Duration
	// listener is set by Listen, and nil before.
	listener net.Listener
}

// New returns a server that does not listen yet. It fails when a dependency is
// missing.
func New(cfg Config, deps Deps) (*Server, error) {
	if deps.Orders == nil || deps.Levels == nil || deps.Health == nil || deps.Metrics == nil || deps.Requests == nil || deps.Log == nil {
		return nil, errors.New("web server lacks one of Orders, Levels, Health, Metrics, Requests, Log")
	}
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	if cfg.LookupTimeout <= 0 {
		cfg.LookupTimeout = defaultLookupTimeout
	}
	if cfg.ShutdownTimeout <= 0 {
		cfg.ShutdownTimeout = defaultShutdownTimeout
	}
	s := &Server{cfg: cfg, deps: deps, timeout: cfg.LookupTimeout + transferTimeout}
	s.handler = s.newHandler()
	return s, nil
}

// ServeHTTP answers one request, with everything around it that Run has.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Listen takes the address, so that a process whose address is taken finds out
// before it begins anything else. Run serves on it, and must follow.
func (s *Server) Listen(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for HTTP on %s: %w", s.cfg.Addr, err)
	}
	s.listener = listener
	return nil
}

// Run listens, unless that was done, and serves until ctx ends, and then lets the requests in
// progress end. It returns nil when it was ended by ctx, and otherwise why the
// address cannot be served. The caller ends ctx last of all: probes and metrics
// are wanted while the rest of the process drains.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		err := s.Listen(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // told to end before it began
			}
			return err
		}
	}
	listener := s.listener
	if !isLoopback(listener.Addr()) {
		s.deps.Log.Warn("HTTP is reachable from other machines and asks nobody who they are",
			"addr", listener.Addr().String())
	}
	if s.cfg.OnListen != nil {
		s.cfg.OnListen(listener.Addr())
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       s.timeout,
		WriteTimeout:      s.timeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends by Shutdown; received below
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
		s.shutdown(ctx, server)
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("end serving HTTP on %s: %w", listener.Addr(), err)
		}
		return nil
	}
}

// shutdown ends the server with grace, and without when that takes too long.
func (s *Server) shutdown(ctx context.Context, server *http.Server) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		s.deps.Log.Warn("HTTP requests were cut off at shutdown", "error", err)
		// Close only repeats that the listener is closed already.
		_ = server.Close()
	}
}

// isLoopback reports whether only this machine reaches addr.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
