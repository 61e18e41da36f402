package replay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// beatEvery is how often a holder records that it lives.
	beatEvery = Lease / 5
	// sureFor is how long after its last record a holder publishes without another
	// one. It is longer than two beats, so that a holder that lives does not record
	// for it, and half a lease, so that nobody else holds the replay yet.
	sureFor = Lease / 2
)

// beat records progress now and then, so that nobody takes this process for dead
// while it waits.
func (e *Executor) beat(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// A database that is away is the trouble of the next batch.
			if err := e.save(ctx); errors.Is(err, ErrLost) {
				e.lost(err)
				return
			}
		case <-ended:
			return
		}
	}
}

func (e *Executor) save(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	began := e.now() // the lease counts from no later than this
	err := e.Store.Save(ctx, e.object)
	if err == nil {
		e.saved = began
	}
	return err
}

func (e *Executor) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// stillOurs returns when it is certain that this process holds the replay, and will
// for a while: a publication that takes longer than that may still come behind that
// of another, which costs a duplicate that the ledger knows. A process
// that was frozen (SIGSTOP, a machine that slept, a virtual one that was moved) goes
// on in the middle of whatever it did, and another may have taken the replay over
// meanwhile: it must not publish what that one has published.
func (e *Executor) stillOurs(ctx context.Context) error {
	e.mu.Lock()
	now, saved := e.now(), e.saved
	e.mu.Unlock()
	// Of the two clocks the one that moved on: the monotonic one stands still while a
	// machine sleeps, the other may be set back.
	if max(now.Sub(saved), now.Round(0).Sub(saved.Round(0))) < sureFor {
		return nil
	}
	if err := e.record(ctx); err != nil {
		return fmt.Errorf("%w: %w", errUnsure, err)
	}
	return nil
}

// errUnsure: nothing is published, because somebody else may be at it.
var errUnsure = errors.New("this process may not hold the replay any more")

// record saves the progress, and waits for a database that is away.
func (e *Executor) record(ctx context.Context) error {
	return e.patiently(ctx, PhaseDatabase, func() error { return e.save(ctx) }, func(err error) bool {
		return errors.Is(err, ErrLost)
	})
}
