// Package job runs what has to be done now and then by one instance of many:
// at the times of a schedule, each scheduled time once, whichever instance is
// there to do it.
//
// # Who runs
//
// Every instance looks at every job. When a time is due, whoever gets the lock
// (redsync, by way of package lock) and then the row of the job in the database
// runs it. The lock is for the many: it keeps them from trying all at once, and
// tells a holder early that it is one no more. The row is for the truth: it has a
// fence, a number that grows with each holder, and only the holder of the newest
// one can record anything. So a job needs no lock to be right, and goes on
// without Redis.
//
// While a run lasts its holder extends the lock and counts up the beats in the
// row. A holder that loses the lock, or cannot count, has its context cancelled.
// Who watches and sees no beat for most of a lease takes the run over, under the
// next fence: the same scheduled time and the same record, which says how often
// that happened. Clocks are not compared: a watcher measures by its own how long
// the number has not moved.
//
// # What a job has to do for it
//
// A paused holder that wakes up does not know yet that it was replaced. What
// changes data must therefore check the fence inside the transaction that makes
// the change: after its own statements, and before COMMIT,
//
//	UPDATE jobs SET beats = beats + 1 WHERE job = ? AND fence = ? AND running = 1
//
// and roll back unless that changed one row ([ErrFenced]). And because a run may
// be taken over half-way, its work must be one that can be gone on with.
//
// # Missed times
//
// A time that passed while no instance was there, or while the run before it
// lasted, is made up for once, however many there were: jobs look at everything
// there is, and the second of two runs in a row would find nothing to do.
package job

import (
	"context"
	"errors"
	"time"
)

// Job is one thing to be done.
type Job struct {
	// Name is unique in a database, up to 64 bytes.
	Name string
	// Schedule says when; the zero value is never, but by hand.
	Schedule Schedule
	// Off says why it cannot be run as this instance is set up; nil: it can. An
	// instance that cannot run it takes over nobody's run of it either.
	Off error
	// Do does it and returns what is to be recorded about it, also when it fails. It
	// must return soon after ctx has ended, with an error unless it was through by
	// then. run is what it checks its fence with.
	Do func(ctx context.Context, run Run) (result string, err error)
}

// Run is the right to do a job, as long as nobody has a newer one.
type Run struct {
	Job         string
	ScheduledAt time.Time
	// Fence is greater than that of every holder before.
	Fence int64
	// Crashes is how many of those before have vanished.
	Crashes int
}

// Cause is why a run was begun.
type Cause string

const (
	// Scheduled: its time had come.
	Scheduled Cause = "schedule"
	// Manual: somebody asked for it.
	Manual Cause = "manual"
)

// State is what a run has come to.
type State string

const (
	// Running: it has not ended, as far as anybody knows.
	Running State = "running"
	// Done: it did what it had to.
	Done State = "done"
	// Failed: it did not, or found that something is wrong.
	Failed State = "failed"
)

// Record is what is kept about one run.
type Record struct {
	Job         string
	ScheduledAt time.Time
	Cause       Cause
	Holder      string // who runs it or ran it last
	Fence       int64
	Crashes     int // how many holders have vanished while they ran it
	StartedAt   time.Time
	FinishedAt  time.Time // zero while State is Running
	State       State
	Result      string // what Do returned
	Error       string // why it failed
}

// Status is a job's row: who holds it, and how far the schedule has come.
type Status struct {
	Job   string
	Fence int64
	Beats int64 // moves while the holder does
	// Running is set from the beginning of a run to its recorded end.
	Running bool
	// ScheduledAt is the time of the newest run; before the first one, when the job
	// was first seen.
	ScheduledAt time.Time
	// Holder runs the job, or ran it last. It is empty for a run that its holder
	// gave up and that waits for the next one.
	Holder string
}

// End is how a run is recorded to have ended.
type End struct {
	State  State
	Result string
	Error  string
}

// Errors of [Records], and causes of a run's cancelled context.
var (
	// ErrFenced: somebody else has a newer fence, or the run was ended. Nothing was
	// changed.
	ErrFenced = errors.New("run was taken over or ended by another")
	// ErrMoved: the job's row is not what it was when it was looked at.
	ErrMoved = errors.New("another instance was quicker")
	// ErrLost: the lock was lost, or the database did not take a beat for too long.
	ErrLost = errors.New("hold on the job lost")
)

// Records is where runs are recorded. Every call is one transaction.
type Records interface {
	// Status reads a job's row, and makes it if there is none.
	Status(ctx context.Context, job string) (Status, error)
	// Begin records a new run, of a time that has none, provided that the row is
	// still the one given (ErrMoved) and nobody runs.
	Begin(ctx context.Context, from Status, at time.Time, cause Cause, holder string) (Run, error)
	// TakeOver makes holder the one who runs, provided that the row is still the
	// one given, without a beat since. It counts a crash unless the run had been
	// given up in order.
	TakeOver(ctx context.Context, from Status, holder string) (Run, error)
	// Beat says that the run moves (ErrFenced).
	Beat(ctx context.Context, run Run) error
	// GiveUp leaves the run to whoever comes next, at once (ErrFenced).
	GiveUp(ctx context.Context, run Run) error
	// Finish records the end of the run, once (ErrFenced).
	Finish(ctx context.Context, run Run, end End) error
	// Runs returns the newest runs of a job, or of all jobs for an empty name.
	Runs(ctx context.Context, job string, most int) ([]Record, error)
}

// Errors of a [Locker].
var (
	// ErrLocked: somebody else holds the lock.
	ErrLocked = errors.New("job is locked")
	// ErrLockUnavailable: nobody knows, because Redis does not answer.
	ErrLockUnavailable = errors.New("lock unavailable")
)

// Locker keeps instances from starting the same job at the same time.
type Locker interface {
	// TryLock takes the lock of a job if it is free. It fails with ErrLocked or
	// ErrLockUnavailable.
	TryLock(ctx context.Context, job string) (Lease, error)
}

// Lease is a lock that is held, and extended by itself.
type Lease interface {
	// Lost is closed when the lock is no longer ours.
	Lost() <-chan struct{}
	// Unlock gives it back.
	Unlock(ctx context.Context) error
}

// Observer is told what happens to jobs, from many goroutines.
type Observer interface {
	// JobBegan: this instance runs the job. crash: its holder before vanished.
	JobBegan(run Run, cause Cause, crash bool)
	// JobEnded: it does no more. err is nil, what Do returned, or why the run was
	// given up (ErrFenced, ErrLost, or the context's end).
	JobEnded(run Run, took time.Duration, err error)
	// JobSeen: this is the newest run of the job that has ended, whoever ran it.
	JobSeen(record Record)
	// JobTrouble: the job could not be looked at, begun or recorded. It is tried
	// again.
	JobTrouble(job string, err error)
}
