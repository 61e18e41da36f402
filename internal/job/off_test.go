package job_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/testkit"
)

// lookedAt tells when a runner has looked and gone on.
type lookedAt struct {
	*ledger.Ledger
	runs chan struct{}
}

func (l lookedAt) Runs(ctx context.Context, name string, most int) ([]job.Record, error) {
	l.runs <- struct{}{}
	return l.Ledger.Runs(ctx, name, most)
}

// TestAJobThatIsOffIsLeftToOthers: an instance that is not set up for a job takes
// over no run of it, and refuses to run it by hand.
func TestAJobThatIsOffIsLeftToOthers(t *testing.T) {
	t.Parallel()
	l := testkit.Start(t).OpenLedger(t)
	before, err := l.Status(t.Context(), workName)
	if err != nil {
		t.Fatal(err)
	}
	run, err := l.Begin(t.Context(), before, time.Now().Add(time.Second), job.Manual, "elsewhere")
	if err == nil {
		err = l.GiveUp(t.Context(), run) // whoever looks next may have it
	}
	if err != nil {
		t.Fatal(err)
	}
	off := errors.New("not set up for it")
	work := job.Job{Name: workName, Off: off, Do: func(context.Context, job.Run) (string, error) {
		t.Error("the job was done")
		return "", nil
	}}
	records := lookedAt{l, make(chan struct{})}
	r := job.NewRunner(job.Config{Holder: "here", Lease: job.MinLease, Jobs: []job.Job{work}},
		job.Deps{Records: records, Observer: teller{}, Now: time.Now})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	<-records.runs
	stop()
	running.Wait()
	after, err := l.Status(t.Context(), workName)
	if err != nil || after.Fence != run.Fence || after.Holder != "" || !after.Running {
		t.Errorf("the job is %+v, %v; want it still to be had", after, err)
	}
	_, err = r.RunNow(t.Context(), work, func(string) {})
	if !errors.Is(err, off) {
		t.Errorf("run by hand: %v", err)
	}
}
