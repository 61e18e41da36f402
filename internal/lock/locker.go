package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-redsync/redsync/v4"
	"github.com/redis/go-redis/v9"
)

// Locker locks sets of names on one Redis or on a quorum of independent ones.
// It is safe for use by many goroutines.
type Locker struct {
	cfg     Config
	nodes   []*node
	options []redsync.Option
}

// New makes a Locker on one client, or on an odd number of clients of
// independent masters (see Verify). It does not connect, and fails only for
// what is wrong with its arguments. The clients are shared: close them after
// the Locker.
func New(clients []redis.UniversalClient, cfg Config) (*Locker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkCount(len(clients)); err != nil {
		return nil, err
	}
	l := &Locker{cfg: cfg}
	for i, client := range clients {
		if client == nil {
			return nil, fmt.Errorf("lock: client %d of %d is nil", i+1, len(clients))
		}
		if _, ok := client.(*redis.ClusterClient); ok && !hasHashTag(cfg.Prefix) {
			return nil, fmt.Errorf("lock prefix %q: on a Redis Cluster it needs a hash tag, as in %q", cfg.Prefix, DefaultPrefix)
		}
		l.nodes = append(l.nodes, newNode(client, cfg))
	}
	l.options = []redsync.Option{
		redsync.WithExpiry(cfg.Expiry),
		redsync.WithTries(1), // the waiting is ours: see Lock
		redsync.WithDriftFactor(driftFactor),
		redsync.WithTimeoutFactor(float64(cfg.TryTimeout) / float64(cfg.Expiry)),
		redsync.WithGenValueFunc(func() (string, error) { return rand.Text(), nil }),
	}
	return l, nil
}

// hasHashTag reports whether a Redis Cluster puts all keys that begin with
// prefix into one slot.
func hasHashTag(prefix string) bool {
	_, tag, _ := strings.Cut(prefix, "{")
	end := strings.IndexByte(tag, '}')
	return end > 0
}

// Lock waits until no name of the set is held by anyone else, and holds them
// all. The lease lasts, extended by itself, until it is unlocked or lost. An
// empty set is free at once and locks nothing; a name given twice counts once.
//
// Errors: a *TakenError (ErrTaken) when the context's deadline passed while
// someone held one of the names; ErrUnavailable when too few servers answer,
// after at most two TryTimeouts, and without delay when that was known; the
// context's error when it was cancelled, or had ended beforehand. The answer to
// an operation already sent is waited for, so Lock may return as much as a
// TryTimeout after the context has ended. After an error nothing stays locked.
func (l *Locker) Lock(ctx context.Context, names []string) (*Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(names) > MaxNames {
		return nil, fmt.Errorf("lock %d names at once: want %d at most", len(names), MaxNames)
	}
	if len(names) == 0 {
		return &Lease{lost: make(chan struct{})}, nil
	}
	a := l.newAttempt(names)
	pauses := newPauses(l.cfg.PollMin, l.cfg.PollMax)
	defer pauses.stop()
	again := true // a failure is tried again once, in case it heals
	waited := false
	for {
		err := a.try(ctx)
		switch {
		case err == nil:
			return newLease(l.cfg, a.mutex, waited), nil
		case errors.Is(err, ErrTaken):
			again, waited = true, true
			a.waitFree(ctx, pauses)
		case again && l.healed(ctx):
			again = false
		default:
			return nil, orCancelled(ctx, err)
		}
		if ctx.Err() != nil {
			return nil, orCancelled(ctx, err)
		}
	}
}

// orCancelled returns the context's error if it was cancelled, and err if its
// deadline passed or it has not ended: then err says what the time went on.
func orCancelled(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return err
}

// Ping asks every server and returns ErrUnavailable unless a quorum answers
// within a TryTimeout.
func (l *Locker) Ping(ctx context.Context) error {
	results := make([]error, len(l.nodes))
	var wg sync.WaitGroup
	for i, n := range l.nodes {
		wg.Go(func() { results[i] = n.ping(ctx) })
	}
	wg.Wait()
	var causes []error
	for _, err := range results {
		if err != nil {
			causes = append(causes, err)
		}
	}
	if answered := len(l.nodes) - len(causes); answered < l.quorum() {
		return unavailable(answered, len(l.nodes), causes)
	}
	return nil
}

// Close ends what runs in the background, and waits for it. Leases stay held
// and can still be unlocked; the clients stay open.
func (l *Locker) Close() {
	for _, n := range l.nodes {
		n.close()
	}
}

// quorum is how many servers must agree.
func (l *Locker) quorum() int { return len(l.nodes)/2 + 1 }

// healed waits shortly for servers that have just gone down, and reports
// whether a quorum is up.
func (l *Locker) healed(ctx context.Context) bool {
	up := 0
	for _, n := range l.nodes {
		if n.healed(ctx, l.cfg.TryTimeout) {
			up++
		}
		if up == l.quorum() {
			return true
		}
	}
	return false
}
