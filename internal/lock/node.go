package lock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxLeftovers bounds what is remembered about one server that is away. Nothing
// is sent to it meanwhile, so there is one leftover for each operation that was
// under way when it went, and more are left to their expiry.
const maxLeftovers = 64

// leftover is a set that an operation of unknown outcome may have left on a
// server: a timed-out acquisition is still in its socket and is carried out
// when it wakes, and then nobody gets the names until they expire.
type leftover struct {
	keys  []string
	value string
}

// node is one Redis server. Once an operation on it has failed it is down:
// operations fail at once, and one goroutine, the prober, tries it until it
// answers and has been rid of leftovers.
type node struct {
	client     redis.UniversalClient
	addr       string
	scripts    scripts
	tryTimeout time.Duration

	ctx    context.Context //nolint:containedctx // ends the prober, which no caller's context may end
	cancel context.CancelFunc
	prober sync.WaitGroup // close waits for it

	mu        sync.Mutex
	down      error         // the failure; nil while the server is up
	downSince time.Time     // when the operation that failed had begun
	up        chan struct{} // closed when a server that is down is up again
	leftovers []leftover
	closed    bool
}

func newNode(client redis.UniversalClient, cfg Config) *node {
	ctx, cancel := context.WithCancel(context.Background())
	return &node{
		client: client, addr: address(client), scripts: newScripts(), tryTimeout: cfg.TryTimeout,
		ctx: ctx, cancel: cancel,
	}
}

// run runs a script unless the server is down. left, if it holds keys, is what
// the script may leave behind when its outcome remains unknown.
func (n *node) run(ctx context.Context, s *script, c call, left leftover, args ...any) (int64, error) {
	if err := n.failure(); err != nil {
		return 0, err
	}
	return n.runAnyway(ctx, s, c, left, args...)
}

// runAnyway is run on a server that may be down.
func (n *node) runAnyway(ctx context.Context, s *script, c call, left leftover, args ...any) (int64, error) {
	began := time.Now()
	answer, err := c.run(ctx, n.client, s, args...)
	if err != nil {
		return 0, n.fail(err, began, left)
	}
	return answer, nil
}

// taken reports whether key exists. It fails like run.
func (n *node) taken(ctx context.Context, key string) (bool, error) {
	if err := n.failure(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, n.tryTimeout)
	defer cancel()
	began := time.Now()
	count, err := n.client.Exists(ctx, key).Result()
	if err != nil {
		return false, n.fail(err, began, leftover{})
	}
	return count > 0, nil
}

// ping asks the server itself, whatever is known about it.
func (n *node) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.tryTimeout)
	defer cancel()
	if err := n.client.Ping(ctx).Err(); err != nil {
		return n.named(err)
	}
	return nil
}

// named says which server err is about.
func (n *node) named(err error) error { return fmt.Errorf("redis %s: %w", n.addr, err) }

// failure returns why the server is down, nil if it is not.
func (n *node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.down
}

// fail records that an operation that began at the given time has failed, and
// returns err with the server's name.
func (n *node) fail(err error, began time.Time, left leftover) error {
	err = n.named(err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leave(left)
	if n.down != nil || n.closed {
		return err // the prober runs already, or nobody is left to run one for
	}
	n.down, n.downSince, n.up = err, began, make(chan struct{})
	n.prober.Go(n.probe)
	return err
}

// abandon remembers what cannot be released because the server is down, and
// returns why it is. It returns nil, and remembers nothing, if the server is up.
func (n *node) abandon(left leftover) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down != nil {
		n.leave(left)
	}
	return n.down
}

// leave remembers left; n.mu is held.
func (n *node) leave(left leftover) {
	if len(left.keys) > 0 && len(n.leftovers) < maxLeftovers {
		n.leftovers = append(n.leftovers, left)
	}
}

// healed waits until the server is up, and reports whether it is. A failure is
// given grace to heal, counted from the start of the operation that failed:
// dropped connections are over in a moment, and whoever comes while a server
// has long been down must not wait. A refusal in words is not waited for.
func (n *node) healed(ctx context.Context, grace time.Duration) bool {
	n.mu.Lock()
	down, since, up := n.down, n.downSince, n.up
	n.mu.Unlock()
	if down == nil {
		return true
	}
	grace -= time.Since(since)
	if grace <= 0 || isReply(down) {
		return false
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-up:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// close ends the prober and waits for it.
func (n *node) close() {
	n.mu.Lock()
	n.closed = true // before waiting: fail must not start another prober
	n.mu.Unlock()
	n.cancel()
	n.prober.Wait()
}
