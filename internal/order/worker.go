package order

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"orderconsumer/internal/stock"
)

// work takes batches until the scheduler is drained or ctx ends.
func (f *Flow) work(ctx context.Context) error {
	defer f.idle(ctx)
	for {
		b := f.sched.tryNext()
		if b == nil {
			f.idle(ctx)
			var err error
			b, err = f.sched.next(ctx)
			if err != nil {
				return nil // both ends, drained and stopped, are orderly
			}
		}
		f.deps.Observer.Busy(int(f.busy.Add(1)))
		f.process(ctx, b)
		f.sched.batchDone()
		f.deps.Observer.Busy(int(f.busy.Add(-1)))
		if !f.handOver(ctx, b) {
			return nil
		}
	}
}

// handOver gives the batch to a settler and reports false if ctx ends first.
// Settlers that take nothing wait for the log, and the goods are not kept from
// other instances meanwhile.
func (f *Flow) handOver(ctx context.Context, b *batch) bool {
	select {
	case f.settling <- b:
		return true
	default:
		f.idle(ctx)
	}
	select {
	case f.settling <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// process answers every task of the batch: with a decision or with a failure.
//
// Once the goods are locked against other instances, other workers may take
// batches of the same goods: they join the lock, get ready, and wait in the
// ledger for this transaction's levels. The goods are given back to other
// instances before the outcome is published: from the commit on, the next holder
// reads what this transaction wrote.
func (f *Flow) process(ctx context.Context, b *batch) {
	h := f.hold(ctx, b)
	defer h.leave(ctx, false)
	f.sched.freeGoods(b)
	defer f.cleared(b.tasks)
	f.apply(ctx, h, undecided(b.tasks))
}

// undecided are the tasks that still need the ledger.
func undecided(tasks []*task) []*task {
	open := make([]*task, 0, len(tasks))
	for _, t := range tasks {
		switch {
		case t.fault != nil:
			t.failure = t.fault
		case t.failure == nil:
			open = append(open, t)
		}
	}
	return open
}

// apply has the tasks decided in one transaction. When that fails for a
// reason that is neither passing nor the surroundings', it halves the batch
// until the culprit stands alone, so that one bad order takes no other with
// it.
func (f *Flow) apply(ctx context.Context, h *hold, tasks []*task) {
	if len(tasks) == 0 {
		return
	}
	decisions, err := f.transact(ctx, h, tasks)
	if err == nil {
		for i, t := range tasks {
			t.decision = &decisions[i]
		}
		return
	}
	if fate, _ := Classify(err); fate == Abandon || len(tasks) == 1 {
		for _, t := range tasks {
			t.failure = err
		}
		return
	}
	half := len(tasks) / 2
	f.apply(ctx, h, tasks[:half])
	f.apply(ctx, h, tasks[half:])
}

// transact runs the transaction until it is known what became of it. Passing
// errors are tried again a bounded number of times, the surroundings' errors
// for as long as they last.
func (f *Flow) transact(ctx context.Context, h *hold, tasks []*task) ([]stock.Decision, error) {
	requests := make([]stock.Request, len(tasks))
	for i, t := range tasks {
		requests[i] = t.request()
	}
	tries := tries{slowAfter: min(slowAfter, f.cfg.TransactionTimeout), waits: len(f.cfg.Topics.Tiers) == 0, alone: len(tasks) == 1}
	for n := 1; ; n++ {
		begin := time.Now()
		decisions, err := f.attempt(ctx, h, requests)
		if err == nil {
			f.pauses.lift(DependencyDatabase)
			return decisions, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fate, why, more := tries.after(err, f.inDoubt(tasks, err), time.Since(begin))
		if !more {
			return nil, err
		}
		if fate == Pause {
			f.pauses.on(why, err)
			h.suspend(ctx)
		} else {
			f.deps.Observer.Retried(why)
		}
		err = rest(ctx, n)
		if err != nil {
			return nil, err
		}
		h.renew(ctx)
	}
}

// inDoubt reports whether what became of tasks of this flow is known to nobody but the
// database: of those of a transaction that failed with err, or of others. A COMMIT that
// hangs, as while the server's disk is full, keeps its rows from every batch.
func (f *Flow) inDoubt(tasks []*task, err error) bool {
	if errors.Is(err, stock.ErrUnknownCommit) {
		for _, t := range tasks {
			if !t.doubt {
				t.doubt = true
				f.doubts.Add(1)
			}
		}
	}
	return f.doubts.Load() > 0
}

// cleared notes that tasks are in doubt no more.
func (f *Flow) cleared(tasks []*task) {
	for _, t := range tasks {
		if t.doubt {
			t.doubt = false
			f.doubts.Add(-1)
		}
	}
}

// attempt runs the transaction once, no longer than TransactionTimeout and no
// longer than the goods are held.
func (f *Flow) attempt(ctx context.Context, h *hold, requests []stock.Request) (_ []stock.Decision, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.TransactionTimeout)
	defer cancel()
	ctx, unwatch := h.watch(ctx)
	defer unwatch()
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	begin := time.Now()
	decisions, err := f.deps.Ledger.Apply(ctx, requests)
	switch {
	case err == nil:
		f.deps.Observer.Applied(len(requests), time.Since(begin))
		return decisions, nil
	case errors.Is(context.Cause(ctx), ErrLockLost):
		return nil, fmt.Errorf("%w while %d orders were applied: %w", ErrLockLost, len(requests), err)
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: no answer within %s: %w", stock.ErrUnavailable, f.cfg.TransactionTimeout, err)
	default:
		return nil, fmt.Errorf("apply %d orders: %w", len(requests), err)
	}
}
