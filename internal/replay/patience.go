package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
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

// hopeless is true for an error of the log that no patience mends.
func (e *Executor) hopeless(err error) bool {
	if _, local := errors.AsType[*fs.PathError](err); local || errors.Is(err, errShelfFull) {
		return true
	}
	return e.Hopeless != nil && e.Hopeless(err)
}

// notAway is true for an error of the database that is not of the kind that passes.
func notAway(err error) bool {
	return !errors.Is(err, stock.ErrUnavailable) && !errors.Is(err, stock.ErrBusy)
}

// patientView waits for a database that is away.
type patientView struct {
	view View
	e    *Executor
}

// Records implements View.
func (v patientView) Records(ctx context.Context, orders []string) (found map[string]stock.Record, err error) {
	err = v.e.ask(ctx, PhaseDatabase, func() error {
		found, err = v.view.Records(ctx, orders)
		return err
	}, notAway)
	return found, err
}

// Levels implements View.
func (v patientView) Levels(ctx context.Context, goods []string) (found map[string]stock.Level, err error) {
	err = v.e.ask(ctx, PhaseDatabase, func() error {
		found, err = v.view.Levels(ctx, goods)
		return err
	}, notAway)
	return found, err
}

// patientWaiting waits for a log that is away.
type patientWaiting struct {
	waiting Waiting
	e       *Executor
}

// Where implements Waiting.
func (w patientWaiting) Where(ctx context.Context, id string) (topic string, err error) {
	err = w.e.ask(ctx, PhaseKafka, func() error {
		topic, err = w.waiting.Where(ctx, id)
		return err
	}, w.e.hopeless)
	return topic, err
}

// patientSource waits for a log that is away, and reads on behind the last message
// that came.
type patientSource struct {
	Source
	e *Executor
}

// Read implements Source.
func (s patientSource) Read(ctx context.Context, after Positions, visit func(*order.Message) error) error {
	at := after.Clone()
	if at == nil {
		at = Positions{}
	}
	var theirs error // of visit
	return s.e.ask(ctx, PhaseKafka, func() error {
		moved := false
		err := s.Source.Read(ctx, at.Clone(), func(m *order.Message) error {
			if theirs = visit(m); theirs != nil {
				return theirs
			}
			at.Pass(m)
			moved = true
			return nil
		})
		if err != nil && moved {
			return fmt.Errorf("%w: %w", errMoved, err)
		}
		return err
	}, func(err error) bool { return theirs != nil || s.e.hopeless(err) })
}

// errMoved: not done, but something of it is.
var errMoved = errors.New("a part was done")

// patiently does something until it is done, hopeless, or nothing has moved for
// too long.
func (e *Executor) patiently(ctx context.Context, phase string, do func() error, hopeless func(error) bool) error {
	const first, last = 100 * time.Millisecond, 2 * time.Second
	var moved time.Time // or since when nothing has; what is done at once may last
	pause := first
	for {
		err := do()
		if moved.IsZero() {
			moved = time.Now()
		}
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

// ask is patiently for a question: nothing is in flight, and whoever says stop while
// the answer fails to come need not wait for it.
func (e *Executor) ask(ctx context.Context, phase string, question func() error, hopeless func(error) bool) error {
	return e.patiently(ctx, phase, func() error {
		err := question()
		if err != nil && e.take != nil && e.take.Err() != nil {
			return errStop
		}
		return err
	}, func(err error) bool { return errors.Is(err, errStop) || hopeless(err) })
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
