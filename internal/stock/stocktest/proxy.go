package stocktest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Cut says where a [Proxy] cuts a connection.
type Cut int32

const (
	// NoCut lets everything through.
	NoCut Cut = iota
	// BeforeCommit drops the next COMMIT and the connection: the server rolls back.
	BeforeCommit
	// AfterCommit lets the next COMMIT through and drops the answer and the
	// connection: the server has committed and the client cannot know.
	AfterCommit
	// RefuseCommit answers the next COMMIT with an error in the server's place and
	// keeps the connection: on the server the transaction stays open.
	RefuseCommit
)

// refusal is an error packet, the first answer to a request: 1290, read-only.
var refusal = func() []byte {
	body := append([]byte{0xff, 1290 & 0xff, 1290 >> 8}, "#HY000refused by the proxy"...)
	return append([]byte{byte(len(body)), 0, 0, 1}, body...)
}()

// Proxy stands between a client and a MySQL or MariaDB server and loses what it
// is told to lose. It works on plain connections only.
type Proxy struct {
	// URL is the database's, through the proxy.
	URL string

	listener net.Listener
	upstream string
	next     atomic.Int32
	cuts     atomic.Int32
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// NewProxy starts a proxy in front of a database. It ends with the test.
func NewProxy(t testing.TB, databaseURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal("not a URL")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, upstream: u.Host, conns: make(map[net.Conn]struct{})}
	u.Host = listener.Addr().String()
	p.URL = u.String()
	p.wg.Go(p.serve)
	t.Cleanup(p.Close)
	return p
}

// Close cuts every connection and refuses new ones, as a server that is gone.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.DropAll()
	p.wg.Wait()
}

// CutNext arms the proxy for one COMMIT, on whichever connection it comes.
func (p *Proxy) CutNext(cut Cut) { p.next.Store(int32(cut)) }

// Cuts is how many COMMITs it has met armed so far.
func (p *Proxy) Cuts() int { return int(p.cuts.Load()) }

// DropAll cuts every connection there is.
func (p *Proxy) DropAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *Proxy) track(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = struct{}{}
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.track(client)
		p.track(server)
		p.wg.Go(func() { p.relay(client, server) })
	}
}

// relay carries one connection until either end closes it. deaf is set once the
// answers are to be lost.
func (p *Proxy) relay(client, server net.Conn) {
	var deaf atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		p.toClient(client, server, &deaf)
		p.drop(client)
		p.drop(server)
	})
	p.toServer(server, client, &deaf)
	if !deaf.Load() {
		p.drop(client)
		p.drop(server)
	}
	// Otherwise the other half closes both, once the answer is there: dropped
	// sooner, the client might ask again before the server has committed.
	wg.Wait()
}

// toServer carries requests. A COMMIT is a packet of its own, so it is a read of
// its own: the client waits for the answer before it sends anything else.
func (p *Proxy) toServer(server, client net.Conn, deaf *atomic.Bool) {
	const queryCommand = 0x03
	commit := append([]byte{queryCommand}, "COMMIT"...)
	const header = 4
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if n > header && bytes.Equal(buf[header:n], commit) {
			switch Cut(p.next.Swap(int32(NoCut))) {
			case BeforeCommit:
				p.cuts.Add(1)
				return
			case AfterCommit:
				p.cuts.Add(1)
				deaf.Store(true)
			case RefuseCommit:
				p.cuts.Add(1)
				if _, err := client.Write(refusal); err != nil {
					return
				}
				n = 0
			case NoCut:
			}
		}
		if n > 0 {
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil || deaf.Load() {
			return
		}
	}
}

// toClient carries answers until one is to be lost.
func (p *Proxy) toClient(client, server net.Conn, deaf *atomic.Bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if deaf.Load() {
			return
		}
		if n > 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.drop(client)
			}
			return
		}
	}
}
