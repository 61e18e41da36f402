package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RunningError says that a job cannot be run now because it runs already.
type RunningError struct {
	Job    string
	Holder string    // who runs it
	Since  time.Time // its scheduled time
}

// Error names the job, who runs it, and which run it is.
func (e *RunningError) Error() string {
	return fmt.Sprintf("job %s is being run by %s (the run of %s)", e.Job, e.Holder, e.Since.UTC().Format(time.RFC3339Nano))
}

// RunNow runs a job by hand and returns its record. It is refused with a
// *RunningError while the job runs, and with Job.Off if there is one. A run whose holder has vanished is gone on
// with instead of beginning another; waiting is told when that has to be found
// out, which takes most of a lease.
func (r *Runner) RunNow(ctx context.Context, j Job, waiting func(holder string)) (Record, error) {
	if j.Off != nil {
		return Record{}, fmt.Errorf("job %s: %w", j.Name, j.Off)
	}
	w := &watcher{runner: r, job: j}
	err := w.read(ctx)
	if err != nil {
		return Record{}, err
	}
	lease, err := r.lock(ctx, j.Name)
	switch {
	case errors.Is(err, ErrLocked):
		return Record{}, r.runs(w.status)
	case err != nil:
		return Record{}, err
	}
	defer r.unlock(ctx, lease)
	run, err := w.claimNow(ctx, waiting)
	if err != nil {
		return Record{}, err
	}
	err = r.do(ctx, j, run, lease)
	if err != nil {
		return Record{}, err
	}
	if ctx.Err() != nil {
		return Record{}, fmt.Errorf("job %s was given up half-way: %w", j.Name, context.Cause(ctx))
	}
	return r.recorded(ctx, run)
}

func (r *Runner) runs(s Status) error {
	if !s.Running {
		// Locked and not yet, or no more, in its row: somebody begins or ends just now.
		return &RunningError{Job: s.Job, Holder: "another instance", Since: s.ScheduledAt}
	}
	return &RunningError{Job: s.Job, Holder: s.Holder, Since: s.ScheduledAt}
}

// claimNow begins a run, or takes over one that nobody is at.
func (w *watcher) claimNow(ctx context.Context, waiting func(string)) (Run, error) {
	r := w.runner
	first := true
	for w.status.Running && !w.vanished() {
		if first {
			first = false
			waiting(w.status.Holder)
		}
		before := w.status
		err := rest(ctx, r.cfg.Lease/lookShare)
		if err == nil {
			err = w.read(ctx)
		}
		if err != nil {
			return Run{}, err
		}
		if w.status.Running && (w.status.Beats != before.Beats || w.status.Fence != before.Fence) {
			return Run{}, r.runs(w.status)
		}
	}
	run, err := w.claim(ctx, func(ctx context.Context) (Run, error) {
		if w.status.Running {
			return r.deps.Records.TakeOver(ctx, w.status, r.cfg.Holder)
		}
		at := r.deps.Now().UTC().Truncate(time.Millisecond)
		if !at.After(w.status.ScheduledAt) { // of a clock that is ahead of ours
			at = w.status.ScheduledAt.Add(time.Millisecond)
		}
		return r.deps.Records.Begin(ctx, w.status, at, Manual, r.cfg.Holder)
	})
	if errors.Is(err, ErrMoved) {
		if err := w.read(ctx); err != nil {
			return Run{}, err
		}
		return Run{}, r.runs(w.status)
	}
	if err != nil {
		return Run{}, fmt.Errorf("begin job %s: %w", w.job.Name, err)
	}
	return run, nil
}

// recorded is the record of a run of ours that has ended.
func (r *Runner) recorded(ctx context.Context, run Run) (Record, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	runs, err := r.deps.Records.Runs(ctx, run.Job, 1)
	switch {
	case err != nil:
		return Record{}, fmt.Errorf("read the run of job %s: %w", run.Job, err)
	case len(runs) == 0 || runs[0].Fence != run.Fence:
		return Record{}, fmt.Errorf("job %s: %w", run.Job, ErrFenced)
	case runs[0].State == Running:
		return Record{}, fmt.Errorf("job %s: %w", run.Job, ErrLost)
	default:
		return runs[0], nil
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
