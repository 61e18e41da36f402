package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Shares of a lease. Somebody who is killed right after a beat is noticed by a
// watcher that looked right before it: a look, the patience and another look are
// four fifths of the lease, and the rest is for the database to answer.
const (
	beatShare     = 5  // a fifth between two beats, and between two extensions of the lock
	lookShare     = 10 // a tenth between two looks at somebody else's run
	patiencePart  = 3  // three fifths without a beat: its holder is gone
	patienceShare = 5
)

// MinLease is what is left to tell a slow database from a dead holder.
const MinLease = time.Second

const (
	// idleMost is how long nobody looks at a job that is not due: how late a run by
	// hand, or one of an instance with another schedule, is seen.
	idleMost = 15 * time.Second
	// mostCrashes ends a run that kills who runs it: it must not go through all
	// instances, which have orders to deduct.
	mostCrashes = 3
	// recordTimeout bounds a statement that records something.
	recordTimeout = 5 * time.Second
)

// LockExpiry is how long the lock of a job outlives a holder that died, and how
// long a watcher waits for a beat.
func LockExpiry(lease time.Duration) time.Duration {
	return (lease * patiencePart / patienceShare).Truncate(time.Millisecond)
}

// Config says how jobs are run.
type Config struct {
	// Holder is who this instance is: what others are told, and records say.
	Holder string
	// Lease is how soon a holder that was killed is replaced; at least MinLease.
	Lease time.Duration
	// LockRequired lets no job begin while Redis does not answer. Without it the
	// row in the database alone decides.
	LockRequired bool
	Jobs         []Job
}

// Deps is what jobs are run with.
type Deps struct {
	Records  Records
	Locker   Locker // nil: no lock, the row in the database alone
	Observer Observer
	Now      func() time.Time
}

// Runner looks at jobs and runs them.
type Runner struct {
	cfg  Config
	deps Deps
}

// NewRunner returns a runner that does nothing until it is told.
func NewRunner(cfg Config, deps Deps) *Runner { return &Runner{cfg: cfg, deps: deps} }

// Run runs what is due until ctx ends; then it gives up what it runs, to whoever
// looks next. Jobs do not wait for one another.
func (r *Runner) Run(ctx context.Context) {
	var jobs sync.WaitGroup
	for _, j := range r.cfg.Jobs {
		jobs.Go(func() { r.watch(ctx, j) })
	}
	jobs.Wait()
}

// watch looks at one job until ctx ends.
func (r *Runner) watch(ctx context.Context, j Job) {
	w := &watcher{runner: r, job: j}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		pause, err := w.look(ctx)
		if err != nil && ctx.Err() == nil {
			r.deps.Observer.JobTrouble(j.Name, err)
			pause = r.cfg.Lease / lookShare
		}
		timer.Reset(pause)
	}
}

// watcher is what one instance knows of one job.
type watcher struct {
	runner *Runner
	job    Job
	status Status
	since  time.Time // when fence and beats were first seen as they are
	told   Record    // what the observer was last told of
}

// look does what is to be done now and returns when to look again.
func (w *watcher) look(ctx context.Context) (time.Duration, error) {
	r := w.runner
	if err := w.read(ctx); err != nil {
		return 0, err
	}
	now := r.deps.Now()
	due := w.job.Schedule.Due(now)
	soon := r.cfg.Lease / lookShare
	switch {
	case w.job.Off != nil: // for others
	case w.status.Running && !w.vanished():
		return soon, nil
	case w.status.Running:
		return soon, w.run(ctx, func(ctx context.Context) (Run, error) {
			return r.deps.Records.TakeOver(ctx, w.status, r.cfg.Holder)
		}, "")
	case due.After(w.status.ScheduledAt):
		return soon, w.run(ctx, func(ctx context.Context) (Run, error) {
			return r.deps.Records.Begin(ctx, w.status, due, Scheduled, r.cfg.Holder)
		}, Scheduled)
	}
	w.seen(ctx)
	next := w.job.Schedule.Next(now)
	if next.IsZero() {
		return idleMost, nil
	}
	return min(max(next.Sub(now), 0), idleMost), nil
}

// read reads the job's row and notes since when it has not moved.
func (w *watcher) read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	status, err := w.runner.deps.Records.Status(ctx, w.job.Name)
	if err != nil {
		return fmt.Errorf("look at job %s: %w", w.job.Name, err)
	}
	if w.since.IsZero() || status.Fence != w.status.Fence || status.Beats != w.status.Beats {
		w.since = time.Now() // monotonic: no clock that is set makes anybody dead
	}
	w.status = status
	return nil
}

// vanished reports that the run has nobody any more.
func (w *watcher) vanished() bool {
	return w.status.Holder == "" || time.Since(w.since) >= LockExpiry(w.runner.cfg.Lease)
}

// seen tells the observer of the newest run that has ended, once.
func (w *watcher) seen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	runs, err := w.runner.deps.Records.Runs(ctx, w.job.Name, 1)
	if err != nil || len(runs) == 0 || runs[0].State == Running || runs[0] == w.told {
		return // what cannot be read now is read the next time
	}
	w.told = runs[0]
	w.runner.deps.Observer.JobSeen(runs[0])
}

// run locks the job, claims a run and does it. That somebody else was quicker is
// no error.
func (w *watcher) run(ctx context.Context, claim func(context.Context) (Run, error), cause Cause) error {
	lease, err := w.runner.lock(ctx, w.job.Name)
	if err != nil {
		if errors.Is(err, ErrLocked) {
			return nil
		}
		return err
	}
	defer w.runner.unlock(ctx, lease)
	run, err := w.claim(ctx, claim)
	switch {
	case errors.Is(err, ErrMoved):
		return nil
	case err != nil:
		return fmt.Errorf("begin job %s: %w", w.job.Name, err)
	}
	w.runner.deps.Observer.JobBegan(run, cause, cause == "" && w.status.Holder != "")
	return w.runner.do(ctx, w.job, run, lease)
}

func (w *watcher) claim(ctx context.Context, claim func(context.Context) (Run, error)) (Run, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	return claim(ctx)
}

// lock takes the job's lock; a nil Lease goes without it.
func (r *Runner) lock(ctx context.Context, job string) (Lease, error) {
	if r.deps.Locker == nil {
		return nil, nil //nolint:nilnil // no lease is a way to hold a job
	}
	lease, err := r.deps.Locker.TryLock(ctx, job)
	switch {
	case err == nil:
		return lease, nil
	case errors.Is(err, ErrLockUnavailable) && !r.cfg.LockRequired:
		return nil, nil //nolint:nilnil // the fence guards the run
	default:
		return nil, fmt.Errorf("lock job %s: %w", job, err)
	}
}

// unlock gives the lock back. That it was lost is known by then, and one that
// cannot be given back expires.
func (r *Runner) unlock(ctx context.Context, lease Lease) {
	if lease != nil {
		_ = lease.Unlock(ctx)
	}
}
