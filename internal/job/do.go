package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// do does the job under a run that was claimed, and records how it ended. The
// error is about the record; what the job itself says is in it.
func (r *Runner) do(ctx context.Context, j Job, run Run, lease Lease) error {
	began := time.Now()
	held, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var keeper sync.WaitGroup
	ended := make(chan struct{})
	keeper.Go(func() { r.keep(held, ended, run, lease, cancel) })
	result, err := attempt(held, j, run)
	close(ended)
	keeper.Wait()

	// A job that is through is recorded even if its hold was lost meanwhile: the
	// record checks the fence.
	if cause := context.Cause(held); cause != nil && err != nil {
		err = r.giveUp(ctx, run, cause)
		r.deps.Observer.JobEnded(run, time.Since(began), err)
		return nil
	}
	end := End{State: Done, Result: result}
	if err != nil {
		end.State, end.Error = Failed, err.Error()
	}
	recordErr := r.finish(ctx, run, end)
	if recordErr != nil {
		err = recordErr
	}
	r.deps.Observer.JobEnded(run, time.Since(began), err)
	return recordErr
}

// attempt calls the job. A panic is a failure of the job, not of the instance. A
// run that has cost holders their lives is not tried again.
func attempt(ctx context.Context, j Job, run Run) (result string, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("panic: %v\n%s", value, debug.Stack())
		}
	}()
	if run.Crashes >= mostCrashes {
		return "", fmt.Errorf("given up: %d holders have vanished while they ran it", run.Crashes)
	}
	return j.Do(ctx, run)
}

// keep beats until the job has ended, and cancels it when the run is lost: when
// the lock is, when somebody else has taken over, or when no beat got through
// for so long that somebody may.
func (r *Runner) keep(ctx context.Context, ended <-chan struct{}, run Run, lease Lease, cancel context.CancelCauseFunc) {
	var lost <-chan struct{}
	if lease != nil {
		lost = lease.Lost()
	}
	tick := time.NewTicker(r.cfg.Lease / beatShare)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ended:
			return
		case <-ctx.Done():
			return
		case <-lost:
			cancel(fmt.Errorf("%w: the lock expired or was taken away", ErrLost))
			return
		case <-tick.C:
		}
		err := r.beat(ctx, ended, run)
		switch {
		case err == nil:
			last = time.Now()
		case errors.Is(err, ErrFenced):
			cancel(err)
			return
		case time.Since(last) >= LockExpiry(r.cfg.Lease):
			cancel(fmt.Errorf("%w: no beat recorded for %s: %w", ErrLost, time.Since(last).Round(time.Millisecond), err))
			return
		}
	}
}

// beat counts up, for no longer than until the next beat; a job that has ended
// waits for none.
func (r *Runner) beat(ctx context.Context, ended <-chan struct{}, run Run) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Lease/beatShare)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-ended:
			cancel()
		case <-stop:
		}
	}()
	return r.deps.Records.Beat(ctx, run)
}

// giveUp leaves a run that is ours no more, or that must not go on here, to the
// next one. It returns why.
func (r *Runner) giveUp(ctx context.Context, run Run, cause error) error {
	if errors.Is(cause, ErrFenced) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := r.deps.Records.GiveUp(ctx, run)
	if errors.Is(err, ErrFenced) {
		return fmt.Errorf("%w; %w", cause, err)
	}
	return cause // one that could not be given up is taken over like a crash
}

// finish records the end, also when the process is being stopped: the work is
// done, and would be done again.
func (r *Runner) finish(ctx context.Context, run Run, end End) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := r.deps.Records.Finish(ctx, run, end)
	if err != nil {
		return fmt.Errorf("record the end of job %s: %w", run.Job, err)
	}
	return nil
}
