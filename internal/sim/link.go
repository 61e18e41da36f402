package sim

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// link is one connection, seen from the client.
type link struct {
	net.Conn
	network *network
	owner   string
	address string

	mu        sync.Mutex
	deadline  time.Time // of writes
	closing   chan struct{}
	closed    bool
	head      []byte    // of the request that is being written, until its key is known
	left      int       // bytes of it that are still to come
	key       int16     // of it
	group     bool      // it is a member's connection to its coordinator
	firstBeat time.Time // when the first heartbeat was written
	lastBeat  time.Time // and the last one
	everyBeat time.Duration
}

// coordinates reports whether several goroutines share the connection: one that
// waits for its turn there waits on a mutex, so nothing on it may take time.
func (l *link) coordinates() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.group
}

// linger is how long a coordinator keeps a connection that its member has left:
// longer than a session.
const linger = 30 * time.Second

// Close resets the connection. A coordinator goes on as if its answers still
// arrived, as brokers do, which notice that a member is gone by its silence
// alone. (kfake never expires a member to which it could not answer.)
func (l *link) Close() error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	if !again {
		close(l.closing)
	}
	lingers := l.group
	l.mu.Unlock()
	l.network.forget(l)
	switch {
	case again:
		return nil
	case !lingers:
		return l.Conn.Close()
	}
	_ = l.Conn.SetDeadline(time.Unix(1, 0)) // whoever waits on it hears of it
	_ = l.Conn.SetDeadline(time.Time{})
	time.AfterFunc(linger, func() { _ = l.Conn.Close() })
	go io.Copy(io.Discard, l.Conn) //nolint:errcheck // it ends when the connection does
	return nil
}

func (l *link) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Read implements net.Conn.
func (l *link) Read(p []byte) (int, error) {
	if l.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := l.Conn.Read(p)
	if l.isClosed() {
		return 0, io.EOF
	}
	return n, err
}

// SetDeadline implements net.Conn.
func (l *link) SetDeadline(t time.Time) error {
	if l.setDeadline(t) {
		return net.ErrClosed
	}
	return l.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (l *link) SetWriteDeadline(t time.Time) error {
	if l.setDeadline(t) {
		return net.ErrClosed
	}
	return l.Conn.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (l *link) SetReadDeadline(t time.Time) error {
	if l.isClosed() {
		return net.ErrClosed
	}
	return l.Conn.SetReadDeadline(t)
}

// setDeadline notes a deadline, and reports whether it is too late for one.
func (l *link) setDeadline(t time.Time) (closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	return l.closed
}

// Write delivers bytes after what the network does to them.
func (l *link) Write(p []byte) (int, error) {
	if l.isClosed() {
		return 0, net.ErrClosed
	}
	key, whole := l.frame(p)
	err := l.travel(key)
	if err != nil {
		return 0, err
	}
	if l.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := l.Conn.Write(p)
	cuts, _ := l.network.settings()
	if err == nil && whole && cuts > 0 && l.network.dice.hits(cuts) {
		// The request is with the server, its answer will not come.
		l.network.world.reached.mark("fault " + faultAnswersCut)
		_ = l.Close()
	}
	return n, err
}

// travel takes the time that the way takes.
func (l *link) travel(key int16) error {
	_, late := l.network.settings()
	if l.coordinates() {
		if key == int16(kmsg.OffsetCommit) && late > 0 {
			l.network.world.reached.mark("fault " + faultCommitLate)
			time.Sleep(min(l.network.dice.upTo(late), l.quiet()))
		}
		return nil
	}
	time.Sleep(l.network.dice.upTo(l.network.world.plan.latency))
	s := l.network.stalled(l.address)
	if s == nil {
		return nil
	}
	l.mu.Lock()
	deadline := l.deadline
	l.mu.Unlock()
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-s.over:
		return nil
	case <-l.closing:
		return net.ErrClosed
	case <-expired:
		return os.ErrDeadlineExceeded
	}
}

// watchEvery is how often a member looks for new partitions, on the connection
// that it commits on: internal/kafka says so.
const watchEvery = 5 * time.Second

// quiet is for how long nobody else of the member will write to its coordinator:
// until the next heartbeat, or until it looks for new partitions. How often it
// sends heartbeats is learned from two of them.
func (l *link) quiet() time.Duration {
	const margin = 10 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lastBeat.Equal(l.firstBeat) {
		return 0
	}
	now := time.Now()
	began := l.firstBeat.Add(-l.everyBeat)
	sinceLook := now.Sub(began) % watchEvery
	if sinceLook < margin {
		return 0 // it looks at this instant, and may not have written yet
	}
	looks := now.Add(watchEvery - sinceLook)
	next := l.lastBeat.Add(l.everyBeat)
	if looks.Before(next) {
		next = looks
	}
	return max(0, next.Sub(now)-margin)
}

// frame follows the requests of the Kafka protocol: four bytes of length, two of
// key. whole reports that a request ends with p. Redis speaks otherwise: there
// each write is one.
func (l *link) frame(p []byte) (key int16, whole bool) {
	if l.address == redisEnd {
		return -1, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	const headBytes, lengthBytes = 6, 4
	for len(p) > 0 {
		if l.left == 0 {
			n := min(headBytes-len(l.head), len(p))
			l.head, p = append(l.head, p[:n]...), p[n:]
			if len(l.head) < headBytes {
				return -1, false
			}
			l.left = int(binary.BigEndian.Uint32(l.head)) - (headBytes - lengthBytes)
			l.key = int16(binary.BigEndian.Uint16(l.head[lengthBytes:]))
			l.head = l.head[:0]
			l.note()
			continue
		}
		n := min(l.left, len(p))
		l.left, p = l.left-n, p[n:]
	}
	return l.key, l.left == 0 && len(l.head) == 0
}

// note remembers what the key tells about the connection.
func (l *link) note() {
	switch kmsg.Key(l.key) {
	case kmsg.JoinGroup, kmsg.SyncGroup, kmsg.LeaveGroup, kmsg.OffsetCommit:
		l.group = true
	case kmsg.Heartbeat:
		l.group = true
		now := time.Now()
		if l.firstBeat.IsZero() {
			l.firstBeat = now
		} else {
			l.everyBeat = now.Sub(l.lastBeat)
		}
		l.lastBeat = now
	default:
	}
}
