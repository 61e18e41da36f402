package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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

// writeAll writes rows as a table under head, as one document with them as its
// member, or as a line each.
func writeAll[T fmt.Stringer](o cli.OutputSettings, to io.Writer, member, head string, rows []T) error {
	w := rowWriter[T]{OutputSettings: o, to: to, member: member, head: head}
	for _, row := range rows {
		if err := w.row(row); err != nil {
			return err
		}
	}
	return w.end()
}

// rowWriter is writeAll for rows that come one after the other.
type rowWriter[T fmt.Stringer] struct {
	cli.OutputSettings
	to           io.Writer
	member, head string
	n            int
}

// row writes one row.
func (w *rowWriter[T]) row(row T) error {
	w.n++
	if w.Output == "jsonl" {
		return w.Object(w.to, row)
	}
	text := row.String()
	switch {
	case w.Machine():
		encoded, err := json.Marshal(row)
		if err != nil {
			return fmt.Errorf("write the answer: %w", err)
		}
		text = "," + string(encoded)
		if w.n == 1 {
			text = w.opening() + string(encoded)
		}
	case w.n == 1:
		text = w.head + text
	}
	return w.print(text)
}

// end ends the document. No row may follow.
func (w *rowWriter[T]) end() error {
	switch {
	case w.Output != "json":
		return nil
	case w.n == 0:
		return w.print(w.opening() + "]}\n")
	default:
		return w.print("]}\n")
	}
}

func (w *rowWriter[T]) opening() string { return fmt.Sprintf("{%q:[", w.member) }

func (w *rowWriter[T]) print(text string) error {
	if _, err := io.WriteString(w.to, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
