package drill

import (
	"context"
	"errors"
	"syscall"
	"time"
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
	said := time.Now()
	err = d.Place.AwaitLeft(settling, 0, func(left int64) {
		if time.Since(said) >= sayEvery {
			said = time.Now()
			d.Say("  %d messages left", left)
		}
	})
	if err != nil {
		return errors.Join(err, d.ended())
	}
	for _, m := range d.alive {
		m.Signal(syscall.SIGTERM) // all at once: they need not wait for each other
	}
	for _, m := range d.alive {
		err = errors.Join(err, m.Stop())
	}
	d.alive = nil
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
