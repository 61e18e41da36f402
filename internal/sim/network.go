package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// errRefused is what a server that is away answers.
var errRefused = errors.New("connection refused")

// network lies between clients and servers. It cuts, refuses and holds up.
type network struct {
	world  *world
	kafka  kfake.VirtualNetwork
	dice   *chance
	mu     sync.Mutex
	links  map[*link]struct{}
	closed map[string]int    // ends that nobody reaches, with how many faults say so
	stalls map[string]*stall // ends to which nothing gets through
	cuts   float64           // chance of a request whose answer is cut off
	late   time.Duration     // most that a commit of offsets is held up
}

// stall ends when over is closed.
type stall struct{ over chan struct{} }

func newNetwork(w *world) *network {
	return &network{
		world: w, dice: newChance(w.plan.seed, 1),
		links: make(map[*link]struct{}), closed: make(map[string]int), stalls: make(map[string]*stall),
	}
}

// redisEnd is the address of Redis.
const redisEnd = "redis"

// dialer is the network as owner sees it.
func (n *network) dialer(owner string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return n.dial(ctx, owner, address, func() (net.Conn, error) { return n.kafka.DialContext(ctx, network, address) })
	}
}

// redisDialer is the way to Redis as owner sees it.
func (n *network) redisDialer(owner string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return n.dial(ctx, owner, redisEnd, n.world.redis.Dial)
	}
}

func (n *network) dial(ctx context.Context, owner, address string, open func() (net.Conn, error)) (net.Conn, error) {
	if n.refuses(owner, address) {
		return nil, fmt.Errorf("dial %s: %w", address, errRefused)
	}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	l := &link{Conn: conn, network: n, owner: owner, address: address, closing: make(chan struct{})}
	n.mu.Lock()
	n.links[l] = struct{}{}
	refused := n.closed[owner] > 0 || n.closed[address] > 0
	n.mu.Unlock()
	if refused || ctx.Err() != nil { // it went away meanwhile
		_ = l.Close()
		return nil, fmt.Errorf("dial %s: %w", address, errRefused)
	}
	return l, nil
}

func (n *network) refuses(ends ...string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, end := range ends {
		if n.closed[end] > 0 {
			return true
		}
	}
	return false
}

// cut resets every connection of an end.
func (n *network) cut(end string) {
	n.mu.Lock()
	var gone []*link
	for l := range n.links {
		if l.owner == end || l.address == end {
			gone = append(gone, l)
		}
	}
	n.mu.Unlock()
	for _, l := range gone {
		_ = l.Close()
	}
}

// part cuts an end off until the returned function is called.
func (n *network) part(end string) (heal func()) {
	n.mu.Lock()
	n.closed[end]++
	n.mu.Unlock()
	n.cut(end)
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.closed[end]--
	})
}

// hold lets nothing through to an end until the returned function is called.
func (n *network) hold(end string) (release func()) {
	s := &stall{over: make(chan struct{})}
	n.mu.Lock()
	if n.stalls[end] != nil {
		n.mu.Unlock()
		return func() {} // it is being held already
	}
	n.stalls[end] = s
	// The client of a group waits for another's answer on a mutex, which keeps a
	// bubble's clock from moving: there a stall is played as a reset.
	var coordinating []*link
	for l := range n.links {
		if l.address == end && l.coordinates() {
			coordinating = append(coordinating, l)
		}
	}
	n.mu.Unlock()
	for _, l := range coordinating {
		_ = l.Close()
	}
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.stalls, end)
		close(s.over)
	})
}

func (n *network) stalled(end string) *stall {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stalls[end]
}

// setCuts sets the chance of a request whose answer is cut off.
func (n *network) setCuts(chance float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = chance
}

// setLate sets how much commits of offsets are held up at the most.
func (n *network) setLate(most time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.late = most
}

func (n *network) settings() (cuts float64, late time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cuts, n.late
}

func (n *network) forget(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, l)
}
