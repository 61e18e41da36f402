package lock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
)

// Lease is a set of names held. One goroutine at a time owns it, at first the one
// that locked it; Lost may be watched by any.
// While it is held it extends itself.
type Lease struct {
	cfg    Config
	lost   chan struct{}
	waited bool

	// mutex is not safe for two goroutines. It belongs to the extension while
	// extending is set, otherwise to the owner. It is nil for an empty set.
	mutex *redsync.Mutex

	mu        sync.Mutex // held for moments only, never during an operation
	until     time.Time  // when the names may belong to another
	timer     *time.Timer
	extending chan struct{} // closed when the extension under way is done; nil if none is
	lostWhy   error         // not nil once lost is closed
	unlocked  bool
	unlockErr error
}

// newLease starts to look after a mutex that was just locked. A lease is mostly
// over before its first extension, so it costs one timer and no goroutine.
func newLease(cfg Config, mutex *redsync.Mutex, waited bool) *Lease {
	le := &Lease{cfg: cfg, lost: make(chan struct{}), waited: waited, mutex: mutex, until: mutex.Until()}
	le.mu.Lock() // the timer may fire before it is assigned
	defer le.mu.Unlock()
	if cfg.ExtendEvery < 0 {
		le.timer = time.AfterFunc(time.Until(le.until), le.lapse)
	} else {
		le.timer = time.AfterFunc(cfg.ExtendEvery, le.extend)
	}
	return le
}

// Lost is closed when the lease is lost: an extension did not succeed, or the
// time it was good for has passed. Whoever holds it must stop, and still Unlock.
func (le *Lease) Lost() <-chan struct{} { return le.lost }

// Waited reports that somebody else held one of the names when they were asked
// for, and was waited for.
func (le *Lease) Waited() bool { return le.waited }

// Unlock gives the names back, whatever becomes of ctx, within a TryTimeout (two
// while an extension is under way). Errors: ErrLost if the lease had been lost
// before; ErrUnavailable if too few servers answered, which release the names
// when they are back or let them expire. Neither says that anything went wrong
// while the lease was held. Called again, it does nothing and returns the same.
func (le *Lease) Unlock(ctx context.Context) error {
	if le.mutex == nil {
		return nil
	}
	le.mu.Lock()
	if le.unlocked {
		defer le.mu.Unlock()
		return le.unlockErr
	}
	le.unlocked = true
	le.timer.Stop()
	extending := le.extending
	le.mu.Unlock()

	// The timer may have fired just before it was stopped. Either extend saw
	// unlocked and left the mutex alone, or it set extending before: then the
	// mutex is ours only when that extension is done.
	if extending != nil {
		<-extending
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), le.cfg.TryTimeout)
	defer cancel()
	released, err := le.mutex.UnlockContext(ctx)

	le.mu.Lock()
	defer le.mu.Unlock()
	switch {
	case le.lostWhy != nil:
		le.unlockErr = fmt.Errorf("%w: %w", ErrLost, le.lostWhy)
	case released:
	case notOurs(err):
		le.unlockErr = fmt.Errorf("%w: unlock: %w", ErrLost, err)
	default:
		le.unlockErr = fmt.Errorf("%w: unlock: %w", ErrUnavailable, err)
	}
	return le.unlockErr
}

// notOurs reports that servers said, of the whole set or a part, that it had
// expired or belonged to another.
func notOurs(err error) bool {
	var taken *redsync.ErrTaken
	var nodeTaken *redsync.ErrNodeTaken
	return errors.Is(err, redsync.ErrLockAlreadyExpired) || errors.As(err, &taken) || errors.As(err, &nodeTaken)
}

// errLapsed: the lease's time passed and no extension had succeeded.
var errLapsed = errors.New("not extended in time")

// extend runs in a goroutine of its own when the timer fires.
func (le *Lease) extend() {
	le.mu.Lock()
	if le.unlocked || le.lostWhy != nil {
		le.mu.Unlock()
		return
	}
	remaining := time.Until(le.until)
	if remaining <= 0 { // the process was stopped, or starved
		le.loseLocked(errLapsed)
		le.mu.Unlock()
		return
	}
	done := make(chan struct{})
	le.extending = done
	le.mu.Unlock()

	// The answer is due long before the lease ends; should the deadline be
	// overrun all the same, the lease must not wait for it.
	guard := time.AfterFunc(remaining, le.lapse)
	ctx, cancel := context.WithTimeout(context.Background(), le.cfg.TryTimeout)
	ok, err := le.mutex.ExtendContext(ctx)
	cancel()
	guard.Stop()

	le.mu.Lock()
	defer le.mu.Unlock()
	defer close(done)
	le.extending = nil
	switch {
	case le.unlocked || le.lostWhy != nil:
	case !ok || err != nil:
		le.loseLocked(fmt.Errorf("extend: %w", err))
	default:
		le.until = le.mutex.Until()
		le.timer.Reset(le.cfg.ExtendEvery)
	}
}

// lapse ends a lease whose time has passed.
func (le *Lease) lapse() {
	le.mu.Lock()
	defer le.mu.Unlock()
	if !le.unlocked && time.Until(le.until) <= 0 {
		le.loseLocked(errLapsed)
	}
}

// loseLocked declares the lease lost, once; le.mu is held.
func (le *Lease) loseLocked(why error) {
	if le.lostWhy == nil {
		le.lostWhy = why
		close(le.lost)
	}
}
