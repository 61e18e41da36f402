package faultproxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readBytes is the most that is read at once.
	readBytes = 64 << 10
	// underWay is how many reads may be under way in one direction; beyond it
	// the sender waits, as it would for a full window. 1,024 full reads are
	// 64 MiB: no delay that is worth testing fills that.
	underWay = 1024
)

// link is one connection of a client and its counterpart to the server.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	torn           chan struct{} // closed by reset
	once           sync.Once
	deaf           atomic.Bool // the client is not to hear what the server says next
}

// piece is what was read at once. No bytes mean that the sender has ended its
// side.
type piece struct {
	bytes []byte
	due   time.Time
}

// run carries bytes both ways until both sides have ended or it is reset.
func (l *link) run() {
	var ways sync.WaitGroup
	ways.Go(func() { l.carry(l.client, l.server) })
	ways.Go(func() { l.carry(l.server, l.client) })
	ways.Wait()
	_ = l.client.Close() // both ways have ended: nothing is left to be lost
	_ = l.server.Close()
}

// carry brings what from sends to its other end. One goroutine reads and notes
// when each piece is due, another delivers: a single one that slept between
// reading and writing would let only one piece through in each delay.
func (l *link) carry(from, to net.Conn) {
	pieces := make(chan piece, underWay)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		l.read(from, pieces)
	})
	l.deliver(pieces, to)
	reader.Wait()
}

func (l *link) read(from net.Conn, pieces chan<- piece) {
	buffer := make([]byte, readBytes)
	for {
		n, err := from.Read(buffer)
		p := piece{due: l.proxy.due()}
		if n > 0 && !l.passes(from, buffer[:n]) {
			l.reset()
			return
		}
		if n > 0 {
			p.bytes = append([]byte(nil), buffer[:n]...)
			select {
			case pieces <- p:
			case <-l.torn:
				return
			}
		}
		if err != nil {
			select {
			case pieces <- piece{due: p.due}:
			case <-l.torn:
			}
			return
		}
	}
}

// passes has what was read looked at.
func (l *link) passes(from net.Conn, sent []byte) bool {
	if from == l.server {
		return !l.deaf.Load()
	}
	if l.proxy.watch == nil {
		return true
	}
	switch l.proxy.watch(sent) {
	case LoseRequest:
		return false
	case LoseReply:
		l.deaf.Store(true)
	default:
	}
	return true
}

// deliver writes what is due until the sender's end has arrived.
func (l *link) deliver(pieces <-chan piece, to net.Conn) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p := range pieces {
		if wait := time.Until(p.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-l.torn:
				return
			}
		}
		select {
		case <-l.proxy.passable():
		case <-l.torn:
			return
		}
		if len(p.bytes) == 0 {
			if half, ok := to.(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite() // the other end is gone already
			}
			return
		}
		if _, err := to.Write(p.bytes); err != nil {
			l.reset() // nobody is there to write to, and the sender is to know
			return
		}
	}
}

// reset tears both connections down.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.torn)
		tearDown(l.client)
		tearDown(l.server)
	})
}

// tearDown closes with a reset instead of an orderly end.
func tearDown(conn net.Conn) {
	if lingerer, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = lingerer.SetLinger(0) // else it is closed in order, which ends it as well
	}
	_ = conn.Close()
}
