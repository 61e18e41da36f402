package kafka

import (
	"context"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// groupDialer dials for a group's requests.
func (c *Client) groupDialer() *kafkago.Dialer {
	dialer := *c.dialer
	dialer.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.dialer.DialFunc(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &firstDeadline{Conn: conn}, nil
	}
	return &dialer
}

// firstDeadline is a connection on which the time for an answer is not over later because
// more is asked meanwhile. The group's heartbeats, commits and looks at its topics share
// one connection and one deadline, which each of them moves when it asks: a coordinator
// that hangs was noticed when the last of them had waited long enough, not the first, ten
// seconds later, and all that time its members had work that they could not commit.
type firstDeadline struct {
	net.Conn

	mutex   sync.Mutex
	waiting bool      // something was asked, and since then nothing has come
	reading int       // who waits for an answer now, with the time that it was given
	until   time.Time // when the wait for it is over; zero while nobody has said so
}

// Write implements net.Conn.
func (c *firstDeadline) Write(b []byte) (int, error) {
	c.mutex.Lock()
	if !c.waiting && c.reading == 0 {
		c.until = time.Time{} // of a wait that is over
	}
	c.waiting = true
	c.mutex.Unlock()
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *firstDeadline) Read(b []byte) (int, error) {
	c.mutex.Lock()
	c.reading++
	c.mutex.Unlock()
	n, err := c.Conn.Read(b)
	c.mutex.Lock()
	c.reading--
	c.waiting = c.waiting && n == 0
	c.mutex.Unlock()
	return n, err
}

// SetReadDeadline implements net.Conn.
func (c *firstDeadline) SetReadDeadline(t time.Time) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if (c.waiting || c.reading > 0) && !c.until.IsZero() && (t.IsZero() || t.After(c.until)) {
		return nil
	}
	c.until = t
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *firstDeadline) SetDeadline(t time.Time) error {
	err := c.SetWriteDeadline(t)
	if err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}
