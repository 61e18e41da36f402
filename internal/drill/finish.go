package drill

import (
	"context"
	"errors"
	"sync"

	"orderconsumer/internal/cli"
)

// finish publishes what is left, waits until everything is settled, stops the
// instances and examines what became of the orders.
func (d *drill) finish(ctx context.Context) error {
	d.Say("nothing is broken any more: publishing what is left and waiting until it is settled")
	err := d.load.Publish(ctx, 2*d.Orders, 0)
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	settling, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	pace := cli.NewPace()
	err = d.Place.AwaitLeft(settling, 0, func(left int64) {
		if pace.Due() {
			d.Say("  %d messages left", left)
		}
	})
	if err != nil {
		return errors.Join(err, d.ended())
	}
	// All at once: they need not wait for each other. And each once: a second
	// signal to one that is at its last instructions would be its end.
	ends := make([]error, len(d.alive))
	var stopping sync.WaitGroup
	for i, m := range d.alive {
		stopping.Go(func() { ends[i] = m.Stop() })
	}
	stopping.Wait()
	d.alive = nil
	err = errors.Join(ends...)
	if err != nil {
		return err
	}
	d.Say("the audit: %d events against the log and the database", d.load.Sent())
	outcomes, err := d.Place.Outcomes(ctx)
	if err != nil {
		return err
	}
	d.result.Report, err = d.load.Examine(ctx)
	if err == nil {
		d.result.Replayed = outcomes - d.result.Report.Published
	}
	return err
}
