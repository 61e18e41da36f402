package kafka

import (
	"context"
	"net"
	"sync"
)

// line is the connections of one reader. The client's Close waits for the answer
// to the fetch under way, a second or more where there is nothing to read; with
// its line cut a reader ends at once.
type line struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	isCut bool
}

func newLine(dial func(ctx context.Context, network, address string) (net.Conn, error)) *line {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &line{dial: dial, conns: make(map[net.Conn]struct{})}
}

// Dial connects, unless the line has been cut.
func (l *line) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		_ = conn.Close() // nothing was said over it
		return nil, net.ErrClosed
	}
	l.conns[conn] = struct{}{}
	return &lineConn{Conn: conn, line: l}, nil
}

// cut ends every connection, and every one to come.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	for conn := range l.conns {
		_ = conn.Close() // whoever reads from it is told
	}
}

// lineConn is a connection that its line forgets when it is closed.
type lineConn struct {
	net.Conn
	line *line
}

// Close implements net.Conn.
func (c *lineConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c.Conn)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
