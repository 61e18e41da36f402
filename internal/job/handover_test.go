package job_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/job"
)

// ward is the records and the lock of one job, in virtual time, where nothing takes
// any: what is tested here is when a runner does what. What the ledger and Redis do
// about it is tested with processes that are killed (TestKilledHoldersAreReplaced).
type ward struct {
	mu     sync.Mutex
	status job.Status
	keeper string    // who has the lock
	until  time.Time // when it expires

	taken chan time.Time // when a run was taken over
}

// patient is one instance in it. Once dead it does nothing any more: its calls end
// with the test, and its lock is not extended.
type patient struct {
	*ward
	name string
	dead <-chan struct{}
}

var errDead = errors.New("this process is dead")

// awake says whether the instance still lives; if not, it returns when the test ends.
func (p *patient) awake(ctx context.Context) error {
	select {
	case <-p.dead:
		<-ctx.Done()
		return errDead
	default:
		return nil
	}
}

func (p *patient) Status(ctx context.Context, _ string) (job.Status, error) {
	if err := p.awake(ctx); err != nil {
		return job.Status{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status, nil
}

func (p *patient) move(ctx context.Context, from job.Status, change func(*job.Status)) (job.Run, error) {
	if err := p.awake(ctx); err != nil {
		return job.Run{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if from != p.status {
		return job.Run{}, job.ErrMoved
	}
	change(&p.status)
	p.status.Fence++
	p.status.Holder, p.status.Running = p.name, true
	return job.Run{Job: p.status.Job, ScheduledAt: p.status.ScheduledAt, Fence: p.status.Fence}, nil
}

func (p *patient) Begin(ctx context.Context, from job.Status, at time.Time, _ job.Cause, _ string) (job.Run, error) {
	return p.move(ctx, from, func(s *job.Status) { s.ScheduledAt = at })
}

func (p *patient) TakeOver(ctx context.Context, from job.Status, _ string) (job.Run, error) {
	run, err := p.move(ctx, from, func(*job.Status) {})
	if err == nil {
		p.taken <- time.Now()
	}
	return run, err
}

func (p *patient) Beat(ctx context.Context, run job.Run) error {
	if err := p.awake(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.Fence != run.Fence {
		return job.ErrFenced
	}
	p.status.Beats++
	return nil
}

func (p *patient) GiveUp(context.Context, job.Run) error                   { return errDead }
func (p *patient) Finish(context.Context, job.Run, job.End) error          { return errDead }
func (p *patient) Runs(context.Context, string, int) ([]job.Record, error) { return nil, nil }
func (p *patient) Lost() <-chan struct{}                                   { return nil }
func (p *patient) Unlock(context.Context) error                            { return nil }

// TryLock takes the lock and extends it, as often as a lock of this expiry does,
// until the instance dies.
func (p *patient) TryLock(ctx context.Context, _ string) (job.Lease, error) {
	if err := p.awake(ctx); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keeper != p.name && time.Now().Before(p.until) {
		return nil, job.ErrLocked
	}
	expiry := job.LockExpiry(testLease)
	p.keeper, p.until = p.name, time.Now().Add(expiry)
	go func() {
		tick := time.NewTicker(expiry / 3)
		defer tick.Stop()
		for {
			select {
			case <-p.dead:
				return
			case <-tick.C:
			}
			p.mu.Lock()
			p.until = time.Now().Add(expiry)
			p.mu.Unlock()
		}
	}()
	return p, nil
}

// quiet hears nothing.
type quiet struct{}

func (quiet) JobBegan(job.Run, job.Cause, bool)      {}
func (quiet) JobSeen(job.Record)                     {}
func (quiet) JobTrouble(string, error)               {}
func (quiet) JobEnded(job.Run, time.Duration, error) {}

// TestAKilledHolderIsReplacedWithinALease: whenever it dies, between two beats and
// between two looks of those who watch it, four fifths of a lease later somebody else
// runs the job.
func TestAKilledHolderIsReplacedWithinALease(t *testing.T) {
	t.Parallel()
	for _, locked := range []bool{false, true} {
		for after := time.Second; after < 2*time.Second; after += 70 * time.Millisecond {
			t.Run(fmt.Sprintf("locked %t, dead after %s", locked, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { replaceAfter(t, after, locked) })
			})
		}
	}
}

func replaceAfter(t *testing.T, after time.Duration, locked bool) {
	w := &ward{status: job.Status{Job: workName, ScheduledAt: time.Now()}, taken: make(chan time.Time, 1)}
	everySecond, err := job.ParseSchedule("* * * * * *")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	work := job.Job{Name: workName, Schedule: everySecond, Do: func(ctx context.Context, _ job.Run) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}
	enter := func(name string) (die func()) {
		dead, die := context.WithCancel(ctx)
		p := &patient{ward: w, name: name, dead: dead.Done()}
		deps := job.Deps{Records: p, Observer: quiet{}, Now: time.Now}
		if locked {
			deps.Locker = p
		}
		r := job.NewRunner(job.Config{Holder: name, Lease: testLease, Jobs: []job.Job{work}}, deps)
		running.Go(func() { r.Run(ctx) })
		return die
	}
	die := enter("first")
	time.Sleep(1100 * time.Millisecond) // it has begun
	enter("second")
	time.Sleep(after)
	die()
	died := time.Now()
	if took := (<-w.taken).Sub(died); took > testLease*4/5 {
		t.Errorf("replaced after %s, want it within four fifths of the lease of %s", took, testLease)
	}
}
