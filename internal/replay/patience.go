package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/order"
)

// publish returns when every message of the batch is confirmed. What is
// not is published again before anything else is: an order's events keep their
// order.
func (e *Executor) publish(ctx context.Context, batch []order.Message) error {
	pending := batch
	return e.patiently(ctx, PhaseRefused, func() error {
		if err := e.stillOurs(ctx); err != nil {
			return err
		}
		unconfirmed, err := e.Publisher.Publish(ctx, pending)
		if len(unconfirmed) < len(pending) && err != nil {
			pending = unconfirmed
			return fmt.Errorf("%w: %w", errMoved, err)
		}
		return err
	}, func(err error) bool { return errors.Is(err, order.ErrTooLarge) || errors.Is(err, errUnsure) })
}

// errMoved: not done, but something of it is.
var errMoved = errors.New("a part was done")

// patiently does something until it is done, hopeless, or nothing has moved for
// too long.
func (e *Executor) patiently(ctx context.Context, phase string, do func() error, hopeless func(error) bool) error {
	const first, last = 100 * time.Millisecond, 2 * time.Second
	moved, pause := time.Now(), first
	for {
		err := do()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case hopeless(err):
			return err
		case errors.Is(err, errMoved):
			moved = time.Now()
		case time.Since(moved) >= e.Patience:
			return fmt.Errorf("%s for %s: %w", phase, e.Patience, err)
		}
		e.tell(phase, 0, err)
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, last)
	}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
