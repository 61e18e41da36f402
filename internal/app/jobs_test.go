package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/job"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// history are the runs that job history tells, newest first.
func (p *patient) history(args ...string) []shownRun {
	p.t.Helper()
	var whole struct{ Runs []shownRun }
	got := at(p.t, p.servers)(append([]string{"job", "history", "-o", "json"}, args...)...).want(p.t, cli.ExitOK)
	if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil {
		p.t.Fatal(err)
	}
	return whole.Runs
}

func TestJobsByHand(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	run := at(t, p.servers)
	run("job", "history").want(t, cli.ExitNothing)
	testkit.WantParts(t, run("job", "history", "audit").want(t, cli.ExitNothing).stderr, "job audit has not been run")
	for _, output := range []string{"text", "json", "jsonl"} {
		got := run("job", "history", "nonsuch", "-o", output).want(t, cli.ExitUsage)
		testkit.WantParts(t, got.stderr, `there is no job "nonsuch"`, "consumer job list")
		if got.stdout != "" {
			t.Errorf("%s: %q", output, got.stdout)
		}
	}
	got := p.run("job", "list").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "audit       0 3 * * *", "T03:00:00Z  never", "clean-up    off               -                     never")
	testkit.WantParts(t, got.stderr, "clean-up is off: no order may be removed: DEDUP_HORIZON is not set")
	testkit.WantParts(t, p.run("job", "list", "-o", "json").want(t, cli.ExitOK).stdout, `{"name":"clean-up","schedule":"","off":"no order may be removed: DEDUP_HORIZON`)

	got = p.run("job", "run", "audit").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "audit ", " done ", `"clean":true`)
	got = p.run("job", "run", "nonsuch").want(t, cli.ExitUsage)
	testkit.WantParts(t, got.stderr, `there is no job "nonsuch"`, "consumer job list")
	got = p.run("job", "run", "clean-up").want(t, cli.ExitUsage)
	testkit.WantParts(t, got.stderr, "DEDUP_HORIZON is not set", "--dedup-horizon")
	got = p.run("job", "list", "--dedup-horizon", "720h", "--audit-schedule", "", "-o", "json").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, `{"name":"audit","schedule":"","last":`, `{"name":"clean-up","schedule":"30 3 * * *","next":`)
	got = p.run("job", "list", "--dedup-horizon", "720h", "--jobs", "off").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stdout, "audit       by hand only      -", "clean-up    by hand only      -")
	p.run("job", "run", "clean-up", "--dedup-horizon", "720h").want(t, cli.ExitOK)

	l := p.servers.OpenLedger(t)
	_, err := l.Set(t.Context(), "", stock.Line{Goods: "apple", Num: 5})
	if err != nil {
		t.Fatal(err)
	}
	db := behindTheBack(t, p.servers)
	_, err = db.ExecContext(t.Context(), "UPDATE stock SET available=4")
	if err != nil {
		t.Fatal(err)
	}
	got = p.run("job", "run", "audit").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "does not hold what is promised of it: 1 finding")

	runs := p.history("audit")
	if len(runs) != 2 || runs[0].State != job.Failed || runs[1].State != job.Done || runs[0].Cause != job.Manual ||
		!strings.Contains(string(runs[0].Result), `"goods_id":"apple"`) || runs[0].Holder != instance.HolderName() || runs[0].FinishedAt == nil {
		t.Errorf("runs %+v", runs)
	}
	if all := p.history(); len(all) != 3 || all[1].Job != instance.JobCleanUp || all[1].State != job.Done {
		t.Errorf("all runs %+v", all)
	}
	testkit.WantParts(t, p.run("job", "list").want(t, cli.ExitOK).stdout, " failed by "+instance.HolderName())
}

// TestJobHistoryGivesProgramsAllAndPersonsTheNewest: over more than one page.
func TestJobHistoryGivesProgramsAllAndPersonsTheNewest(t *testing.T) {
	t.Parallel()
	const many = runsPage + 5
	p := newPatient(t)
	l := p.servers.OpenLedger(t)
	at0 := time.Now().Add(time.Second)
	for n := range many {
		status, err := l.Status(t.Context(), instance.JobAudit)
		if err != nil {
			t.Fatal(err)
		}
		run, err := l.Begin(t.Context(), status, at0.Add(time.Duration(n)*time.Millisecond), job.Scheduled, "me")
		if err == nil {
			err = l.Finish(t.Context(), run, job.End{State: job.Done, Result: "{}"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := at(t, p.servers)
	if runs := p.history(); len(runs) != many || runs[0].Fence != many || runs[many-1].Fence != 1 {
		t.Errorf("%d runs for a program, want %d", len(runs), many)
	}
	if got := run("job", "history", "audit", "-o", "jsonl").want(t, cli.ExitOK); strings.Count(got.stdout, "\n") != many || got.stderr != "" {
		t.Errorf("%d lines for a program; %s", strings.Count(got.stdout, "\n"), got.stderr)
	}
	got := run("job", "history").want(t, cli.ExitOK)
	testkit.WantParts(t, got.stderr, "the newest 20 shown: --limit 0 shows all")
	if n := strings.Count(got.stdout, "\n"); n != 1+runsShown {
		t.Errorf("%d lines for a person", n)
	}
	if got := run("job", "history", "--limit", "0").want(t, cli.ExitOK); strings.Count(got.stdout, "\n") != 1+many || got.stderr != "" {
		t.Errorf("%d lines for a person who wants all; %s", strings.Count(got.stdout, "\n"), got.stderr)
	}
	if runs := p.history("--limit", "3"); len(runs) != 3 || runs[0].Fence != many {
		t.Errorf("three are asked for: %+v", runs)
	}
	testkit.WantParts(t, run("job", "history", "--limit=-1").want(t, cli.ExitUsage).stderr, "at least 0")
}

func TestAJobIsNotRunByHandWhileAnotherRunsIt(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	l := p.servers.OpenLedger(t)
	status, err := l.Status(t.Context(), instance.JobAudit)
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Begin(t.Context(), status, time.Now().Add(time.Second), job.Scheduled, "elsewhere:7")
	if err != nil {
		t.Fatal(err)
	}
	beating, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for beating.Err() == nil {
			_ = l.Beat(beating, other) // whether it moves is what the test is about
			<-tick.C
		}
	}()
	got := p.run("job", "run", "audit", "--job-lease", "3s").want(t, cli.ExitFailed)
	testkit.WantParts(t, got.stderr, "elsewhere:7 has not finished its run; waiting up to 1.8s", "job audit is being run by elsewhere:7", "job history audit")
	stop()
	<-ended

	// It is silent now: its run is gone on with, and no other begun.
	p.run("job", "run", "audit", "--job-lease", "1s").want(t, cli.ExitOK)
	runs := p.history("audit")
	if len(runs) != 1 || runs[0].Crashes != 1 || runs[0].State != job.Done || runs[0].Cause != job.Scheduled {
		t.Errorf("runs %+v", runs)
	}
}

// TestInstancesRunJobs: two instances whose jobs are due every second run each
// time once, and what an audit finds is seen from outside.
func TestInstancesRunJobs(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) {
		s.Jobs = settings.Jobs{Mode: "on", Audit: "* * * * * *", CleanUp: "* * * * * *", Lease: 3 * time.Second}
		s.Dedup.Horizon = time.Millisecond
	})
	s.stocked(map[string]int64{"apple": 5})
	first, second := s.start(), s.start()
	runs := s.awaitRuns(instance.JobAudit, func(r job.Record) bool { return r.State == job.Done })
	s.awaitRuns(instance.JobCleanUp, func(r job.Record) bool { return r.State == job.Done })
	if runs[0].Cause != job.Scheduled || runs[0].ScheduledAt.Nanosecond() != 0 {
		t.Errorf("run %+v", runs[0])
	}
	_, err := behindTheBack(t, s.servers).ExecContext(t.Context(), "UPDATE stock SET available=4")
	if err != nil {
		t.Fatal(err)
	}
	s.awaitRuns(instance.JobAudit, func(r job.Record) bool { return r.State == job.Failed })
	s.end(first)
	s.end(second)
	for _, r := range s.awaitRuns(instance.JobAudit, func(job.Record) bool { return true }) {
		if r.Crashes != 0 {
			t.Errorf("an instance that was stopped counts as vanished: %+v", r)
		}
	}
}

// awaitRuns returns the runs of a job once the newest is as it should be.
func (s *shop) awaitRuns(name string, ok func(job.Record) bool) []job.Record {
	s.t.Helper()
	deadline := time.After(testTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		runs, err := s.ledger.Runs(s.t.Context(), name, 100)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(runs) > 0 && ok(runs[0]) {
			return runs
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("no such run of %s: %+v", name, runs)
		}
	}
}

// A run that Ctrl-C has stopped is an instance's: who has stopped it is told where to
// see that.
func TestAJobThatIsStoppedByHandIsHandedOn(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	c := jobRunCommand{Job: instance.JobAudit}
	err := c.failure(ctx, &cli.Session{Name: "consumer"}, fmt.Errorf("job audit was given up half-way: %w by interrupt", cli.ErrStopped))
	f, ok := errors.AsType[*cli.Failure](err)
	if !ok || f.Code != cli.ExitFailed || f.Try != "consumer job history audit: an instance goes on with it" {
		t.Errorf("got %v", err)
	}
}
