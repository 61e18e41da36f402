package stocktest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock"
)

// JobLedger is a ledger that keeps the records of jobs too.
type JobLedger interface {
	Ledger
	job.Records
	RunsBefore(ctx context.Context, name string, last *job.Record, most int) ([]job.Record, error)
	CleanUp(ctx context.Context, run job.Run, c stock.CleanUp) (stock.CleanedUp, error)
}

// RunJobs holds the records of jobs, and the jobs that change data, against what
// is promised of them. open is as for Run.
func RunJobs(t *testing.T, open func(t *testing.T) JobLedger) {
	t.Helper()
	for name, test := range map[string]func(*jobWorld){
		"a run is begun, beats, and is finished once":       finishedOnce,
		"a time that was begun is not begun again":          begunOnce,
		"of many who begin at once one does":                begunAtOnce,
		"a run that was taken over is its holder's no more": takenOver,
		"of many who take over at once one does":            takenOverAtOnce,
		"a run that was given up is no crash":               givenUp,
		"runs are read page by page":                        readByPages,
		"old orders are removed, and the books balance":     cleanedUp,
		"a clean-up keeps to the orders' own movements":     ownMovements,
		"a clean-up that was taken over changes nothing":    cleanUpFenced,
		"orders are cancelled while they are cleaned up":    cancelledMeanwhile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t)
			test(&jobWorld{world: newWorld(t, l), jobs: l})
		})
	}
}

// jobWorld is a world with jobs in it.
type jobWorld struct {
	*world
	jobs JobLedger
}

const (
	testJob = "test job"
	first   = "first:1"
	second  = "second:2"
)

// tomorrow is a scheduled time that no test has begun.
func tomorrow() time.Time { return time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second) }

func (w *jobWorld) status() job.Status {
	w.Helper()
	s, err := w.jobs.Status(w.ctx(), testJob)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *jobWorld) begin(at time.Time, holder string) job.Run {
	w.Helper()
	run, err := w.jobs.Begin(w.ctx(), w.status(), at, job.Scheduled, holder)
	if err != nil {
		w.Fatal(err)
	}
	return run
}

func (w *jobWorld) takeOver(holder string) job.Run {
	w.Helper()
	run, err := w.jobs.TakeOver(w.ctx(), w.status(), holder)
	if err != nil {
		w.Fatal(err)
	}
	return run
}

func (w *jobWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *jobWorld) refused(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("got %v, want %v", err, want)
	}
}

// recorded compares the records of the job, but for their times of work.
func (w *jobWorld) recorded(want ...job.Record) {
	w.Helper()
	got, err := w.jobs.Runs(w.ctx(), testJob, 100)
	w.must(err)
	for _, r := range got {
		if r.StartedAt.IsZero() || r.FinishedAt.IsZero() != (r.State == job.Running) {
			w.Errorf("times of %+v", r)
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(job.Record{}, "StartedAt", "FinishedAt")); diff != "" {
		w.Fatalf("records (-want +got):\n%s", diff)
	}
}

func finishedOnce(w *jobWorld) {
	s := w.status()
	if s.Fence != 0 || s.Running || time.Since(s.ScheduledAt).Abs() > time.Hour {
		w.Fatalf("a job never seen before is %+v", s)
	}
	at := tomorrow()
	run := w.begin(at, first)
	record := job.Record{Job: testJob, ScheduledAt: at, Cause: job.Scheduled, Holder: first, Fence: 1, State: job.Running}
	w.recorded(record)
	before := w.status()
	w.must(w.jobs.Beat(w.ctx(), run))
	if after := w.status(); after.Beats <= before.Beats || !after.Running || after.Holder != first || !after.ScheduledAt.Equal(at) {
		w.Fatalf("after a beat %+v", after)
	}
	w.must(w.jobs.Finish(w.ctx(), run, job.End{State: job.Failed, Result: `{"n":1}`, Error: "one \u4e00 thing"}))
	record.State, record.Result, record.Error = job.Failed, `{"n":1}`, "one \u4e00 thing"
	w.recorded(record)
	w.refused(w.jobs.Finish(w.ctx(), run, job.End{State: job.Done}), job.ErrFenced)
	w.refused(w.jobs.Beat(w.ctx(), run), job.ErrFenced)
	w.refused(w.jobs.GiveUp(w.ctx(), run), job.ErrFenced)
	w.recorded(record)
}

func begunOnce(w *jobWorld) {
	at, seen := tomorrow(), w.status()
	run := w.begin(at, first)
	_, err := w.jobs.Begin(w.ctx(), seen, at, job.Scheduled, second)
	w.refused(err, job.ErrMoved)
	_, err = w.jobs.Begin(w.ctx(), w.status(), at.Add(time.Minute), job.Scheduled, second)
	w.refused(err, job.ErrMoved) // it runs
	w.must(w.jobs.Finish(w.ctx(), run, job.End{State: job.Done}))
	for _, again := range []time.Time{at, at.Add(-time.Second)} {
		_, err = w.jobs.Begin(w.ctx(), w.status(), again, job.Manual, second)
		w.refused(err, job.ErrMoved)
	}
	w.begin(at.Add(time.Second), second)
	if runs, err := w.jobs.Runs(w.ctx(), "", 100); err != nil || len(runs) != 2 || runs[0].Holder != second {
		w.Errorf("runs %+v, %v", runs, err)
	}
}

// readByPages: also where a page ends between two jobs of one time.
func readByPages(w *jobWorld) {
	at := tomorrow()
	const times = 3
	for n := range times {
		for _, name := range []string{testJob, "another job"} {
			from, err := w.jobs.Status(w.ctx(), name)
			w.must(err)
			run, err := w.jobs.Begin(w.ctx(), from, at.Add(time.Duration(n)*time.Millisecond), job.Scheduled, first)
			w.must(err)
			w.must(w.jobs.Finish(w.ctx(), run, job.End{State: job.Done}))
		}
	}
	for name, all := range map[string]int{"": 2 * times, testJob: times} {
		want, err := w.jobs.Runs(w.ctx(), name, 100)
		w.must(err)
		if len(want) != all {
			w.Errorf("%d runs of %q, want %d", len(want), name, all)
		}
		for _, page := range []int{1, 2, 3} {
			var got []job.Record
			var last *job.Record
			for {
				some, err := w.jobs.RunsBefore(w.ctx(), name, last, page)
				w.must(err)
				got = append(got, some...)
				if len(some) < page || len(got) > all {
					break
				}
				last = &some[page-1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("%q by pages of %d (-want +got):\n%s", name, page, diff)
			}
		}
	}
}

// atOnce calls fn from many goroutines and returns how many succeeded.
func (w *jobWorld) atOnce(fn func() error) int {
	var winners atomic.Int32
	var group sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		group.Go(func() {
			<-start
			err := fn()
			switch {
			case err == nil:
				winners.Add(1)
			case !errors.Is(err, job.ErrMoved) && !errors.Is(err, stock.ErrBusy):
				w.Error(err)
			}
		})
	}
	close(start)
	group.Wait()
	return int(winners.Load())
}

func begunAtOnce(w *jobWorld) {
	seen, at := w.status(), tomorrow()
	if n := w.atOnce(func() error {
		_, err := w.jobs.Begin(w.ctx(), seen, at, job.Scheduled, first)
		return err
	}); n != 1 {
		w.Errorf("%d have begun", n)
	}
	w.recorded(job.Record{Job: testJob, ScheduledAt: at, Cause: job.Scheduled, Holder: first, Fence: 1, State: job.Running})
}

func takenOver(w *jobWorld) {
	at := tomorrow()
	old := w.begin(at, first)
	seen := w.status()
	w.must(w.jobs.Beat(w.ctx(), old))
	_, err := w.jobs.TakeOver(w.ctx(), seen, second)
	w.refused(err, job.ErrMoved) // it has moved since
	run := w.takeOver(second)
	if run.Fence <= old.Fence || !run.ScheduledAt.Equal(at) || run.Crashes != 1 {
		w.Fatalf("taken over as %+v", run)
	}
	w.refused(w.jobs.Beat(w.ctx(), old), job.ErrFenced)
	w.refused(w.jobs.GiveUp(w.ctx(), old), job.ErrFenced)
	w.refused(w.jobs.Finish(w.ctx(), old, job.End{State: job.Done, Result: "old"}), job.ErrFenced)
	w.must(w.jobs.Finish(w.ctx(), run, job.End{State: job.Done, Result: "new"}))
	w.recorded(job.Record{Job: testJob, ScheduledAt: at, Cause: job.Scheduled, Holder: second, Fence: run.Fence,
		Crashes: 1, State: job.Done, Result: "new"})
}

func takenOverAtOnce(w *jobWorld) {
	at := tomorrow()
	w.begin(at, first)
	seen := w.status()
	if n := w.atOnce(func() error {
		_, err := w.jobs.TakeOver(w.ctx(), seen, second)
		return err
	}); n != 1 {
		w.Errorf("%d have taken over", n)
	}
	w.recorded(job.Record{Job: testJob, ScheduledAt: at, Cause: job.Scheduled, Holder: second, Fence: 2, Crashes: 1, State: job.Running})
}

func givenUp(w *jobWorld) {
	at := tomorrow()
	w.must(w.jobs.GiveUp(w.ctx(), w.begin(at, first)))
	if s := w.status(); !s.Running || s.Holder != "" {
		w.Fatalf("given up, it is %+v", s)
	}
	if run := w.takeOver(second); run.Crashes != 0 {
		w.Errorf("taken over as %+v", run)
	}
	w.recorded(job.Record{Job: testJob, ScheduledAt: at, Cause: job.Scheduled, Holder: second, Fence: 2, State: job.Running})
}
