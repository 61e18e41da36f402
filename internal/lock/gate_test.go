package lock_test

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// gate stands in front of a server and can stop it, as SIGSTOP would: it goes on
// accepting connections and bytes, and answers nothing until it is opened. What
// was sent meanwhile then arrives, in the order it came, although those who sent
// it have long hung up.
type gate struct {
	listener net.Listener
	target   string
	conns    sync.WaitGroup

	mu     sync.Mutex
	shut   bool
	queued []func() // what to do when it opens, in order
	open   map[net.Conn]bool
}

// newGates puts a gate in front of each server of w, and returns them with a
// world that goes through them.
func newGates(t testing.TB, w *world) ([]*gate, *world) {
	t.Helper()
	through := *w
	through.urls = nil
	var gates []*gate
	for _, u := range w.urls {
		target, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		g := &gate{listener: listener, target: target.Host, open: map[net.Conn]bool{}}
		g.conns.Go(g.accept)
		t.Cleanup(g.close)
		gates = append(gates, g)
		target.Host = listener.Addr().String()
		through.urls = append(through.urls, target.String())
	}
	return gates, &through
}

func (g *gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", g.target)
		if err != nil {
			client.Close()
			continue
		}
		g.mu.Lock()
		g.open[client], g.open[server] = true, true
		g.mu.Unlock()
		g.conns.Go(func() { g.carry(client, server) })
		g.conns.Go(func() { g.carry(server, client) })
	}
}

// carry copies until from ends, then ends to, each step when the gate is open.
func (g *gate) carry(from, to net.Conn) {
	for {
		chunk := make([]byte, 64<<10)
		n, err := from.Read(chunk)
		if n > 0 {
			g.pass(func() { _, _ = to.Write(chunk[:n]) }) // the other side may have hung up
		}
		if err != nil {
			g.pass(func() { to.Close() })
			g.mu.Lock()
			delete(g.open, from)
			g.mu.Unlock()
			from.Close()
			return
		}
	}
}

// pass does a step now or when the gate opens.
func (g *gate) pass(step func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		g.queued = append(g.queued, step)
		return
	}
	step()
}

// stop lets nothing through any more.
func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// waiting returns how many steps wait for the gate to open.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queued)
}

// cont lets through what has come since stop, and then everything.
func (g *gate) cont() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, step := range g.queued {
		step()
	}
	g.shut, g.queued = false, nil
}

// reset breaks every connection there is.
func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset instead of a farewell
		}
		conn.Close()
	}
}

func (g *gate) close() {
	g.listener.Close()
	g.reset()
	g.cont()
	g.conns.Wait()
}
