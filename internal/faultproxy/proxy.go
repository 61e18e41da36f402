// Package faultproxy is a network that misbehaves on purpose: a TCP proxy that
// delays what passes, holds it back, tears connections down, or loses one
// request or the answer to it. Benchmarks and fault tests put it in front of a
// server.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the connection to the target. A client that waits longer
// than this for its first byte takes the server for dead in any case.
const dialTimeout = 3 * time.Second

// Config says what is in between.
type Config struct {
	// Target is the server, host:port.
	Target string
	// Delay is how long every byte is under way, in each direction. It does not
	// bound how much is under way, so it costs time and not throughput. The
	// handshake of a connection is not delayed.
	Delay time.Duration
	// Listen is where clients connect to, host:port; empty means a free port of
	// this machine.
	Listen string
	// Watch is shown what clients send, as it came, and says what becomes of it;
	// nil lets everything pass. It is called from many goroutines.
	Watch func(sent []byte) Verdict
}

// Verdict says what becomes of something that a client sends.
type Verdict int

const (
	// Pass lets it through.
	Pass Verdict = iota
	// LoseRequest tears the connection down before the server has seen it.
	LoseRequest
	// LoseReply lets it through, and tears the connection down when the server
	// answers: it was done, and the client is not told.
	LoseReply
)

// Proxy forwards connections to one server. It is safe for concurrent use.
type Proxy struct {
	target   string
	watch    func(sent []byte) Verdict
	listener net.Listener
	running  sync.WaitGroup
	stop     context.CancelFunc

	mu      sync.Mutex
	delay   time.Duration
	refuses bool
	mended  chan struct{} // closed while bytes pass; replaced by Cut
	links   map[*link]struct{}
	closed  bool
}

// Start listens. Close ends it.
func Start(cfg Config) (*Proxy, error) {
	ctx, stop := context.WithCancel(context.Background())
	var listen net.ListenConfig
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	listener, err := listen.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		stop()
		return nil, fmt.Errorf("listen for %s: %w", cfg.Target, err)
	}
	p := &Proxy{
		target:   cfg.Target,
		watch:    cfg.Watch,
		listener: listener,
		stop:     stop,
		delay:    cfg.Delay,
		mended:   make(chan struct{}),
		links:    make(map[*link]struct{}),
	}
	close(p.mended)
	p.running.Go(func() { p.accept(ctx) })
	return p, nil
}

// Addr is where clients connect to instead of the server, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetDelay changes the delay of what is sent from now on.
func (p *Proxy) SetDelay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Cut lets nothing through any more, neither bytes nor ends of connections:
// the network is partitioned and nobody is told. New connections are accepted
// and as silent as the others.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.mended:
		p.mended = make(chan struct{})
	default: // cut already
	}
}

// Refuse resets every connection there is and each new one at once: the server
// is gone, and its machine says so.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuses = true
	p.mu.Unlock()
	p.Reset()
}

// Mend undoes Cut and Refuse. What was held back by Cut arrives.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
	select {
	case <-p.mended:
	default:
		close(p.mended)
	}
}

// Reset tears down every connection there is, at both ends and with what is
// under way in them. New ones are welcome.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Connections is how many there are.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close tears everything down and returns when nothing is left running.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	_ = p.listener.Close() // a listener that is closed already is as good
	p.Reset()
	p.running.Wait()
}

// accept takes connections until the listener is closed.
func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // one connection that failed before it began
		}
		p.running.Go(func() { p.serve(ctx, client) })
	}
}

// serve carries one connection from its beginning to its end.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	if p.refused() {
		tearDown(client)
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		tearDown(client)
		return
	}
	l := &link{proxy: p, client: client, server: server, torn: make(chan struct{})}
	if !p.enter(l) {
		l.reset()
		return
	}
	defer p.leave(l)
	l.run()
}

func (p *Proxy) refused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refuses
}

// enter reports false when the proxy has been closed, or refuses, since the
// connection was accepted: Reset has been by and would not come again.
func (p *Proxy) enter(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuses {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) leave(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// due is when what is read now arrives at the other end.
func (p *Proxy) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.delay)
}

// passable is closed while bytes pass.
func (p *Proxy) passable() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mended
}
