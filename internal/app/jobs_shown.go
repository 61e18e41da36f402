package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/job"
	"orderconsumer/internal/stock/ledger"
)

// shownJob is one job as it is written for programs.
type shownJob struct {
	Name     string     `json:"name"`
	Schedule string     `json:"schedule"`
	Off      string     `json:"off,omitempty"` // why it cannot be run
	Next     *time.Time `json:"next,omitempty"`
	Holder   string     `json:"holder,omitempty"` // who runs it now
	Last     *shownRun  `json:"last,omitempty"`
}

func showJob(ctx context.Context, l *ledger.Ledger, j job.Job) (shownJob, error) {
	shown := shownJob{Name: j.Name, Schedule: j.Schedule.String()}
	if j.Off != nil {
		shown.Off = j.Off.Error()
	}
	if next := j.Schedule.Next(time.Now()); !next.IsZero() {
		shown.Next = &next
	}
	status, err := l.Status(ctx, j.Name)
	if err != nil {
		return shown, err
	}
	if status.Running {
		shown.Holder = status.Holder
	}
	runs, err := l.Runs(ctx, j.Name, 1)
	if err != nil {
		return shown, err
	}
	if len(runs) > 0 {
		last := showRun(runs[0])
		shown.Last = &last
	}
	return shown, nil
}

const jobRow = "%-10s  %-16s  %-20s  %s\n"

// String is the job as a line of a table.
func (j shownJob) String() string {
	schedule, next, last := j.Schedule, "-", "never"
	switch {
	case j.Off != "":
		schedule = "off"
	case schedule == "":
		schedule = "by hand only"
	}
	if j.Next != nil {
		next = j.Next.UTC().Format(time.RFC3339)
	}
	if j.Last != nil {
		last = fmt.Sprintf("%s %s by %s", j.Last.ScheduledAt.Format(time.RFC3339), j.Last.State, cli.OrDash(j.Last.Holder))
	}
	return fmt.Sprintf(jobRow, j.Name, schedule, next, last)
}

// shownRun is a run as it is written for programs.
type shownRun struct {
	Job         string          `json:"job"`
	ScheduledAt time.Time       `json:"scheduled_at"`
	Cause       job.Cause       `json:"cause"`
	State       job.State       `json:"state"`
	Holder      string          `json:"holder"`
	Fence       int64           `json:"fence"`
	Crashes     int             `json:"crashes"`
	StartedAt   time.Time       `json:"started_at"`
	FinishedAt  *time.Time      `json:"finished_at,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Error       string          `json:"error,omitempty"`
}

func showRun(r job.Record) shownRun {
	shown := shownRun{Job: r.Job, ScheduledAt: r.ScheduledAt, Cause: r.Cause, State: r.State, Holder: r.Holder,
		Fence: r.Fence, Crashes: r.Crashes, StartedAt: r.StartedAt, Error: r.Error}
	if !r.FinishedAt.IsZero() {
		shown.FinishedAt = &r.FinishedAt
	}
	if json.Valid([]byte(r.Result)) {
		shown.Result = json.RawMessage(r.Result)
	}
	return shown
}

const runRow = "%-10s  %-24s  %-8s  %-8s  %-20s  %s\n"

func runHead() string {
	return fmt.Sprintf(runRow, "JOB", "SCHEDULED FOR", "STATE", "TOOK", "BY", "RESULT")
}

// String is the run as a line of a table.
func (r shownRun) String() string {
	took, result := "-", string(r.Result)
	if r.FinishedAt != nil {
		took = r.FinishedAt.Sub(r.StartedAt).String()
	}
	if r.Error != "" {
		result = r.Error
	}
	if r.Crashes > 0 {
		result = fmt.Sprintf("(%s vanished) %s", cli.Counted(r.Crashes, "holder"), result)
	}
	return fmt.Sprintf(runRow, r.Job, r.ScheduledAt.Format("2006-01-02T15:04:05.000Z"), r.State, took, cli.OrDash(r.Holder), cli.OrDash(result))
}
