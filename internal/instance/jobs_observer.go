package instance

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/job"
	"orderconsumer/internal/telemetry"
)

// jobObserver passes on what jobs report: to the metrics, and to the log what a
// person should read.
type jobObserver struct{ *observer }

// JobBegan implements job.Observer.
func (o jobObserver) JobBegan(run job.Run, _ job.Cause, crash bool) {
	o.Metrics.JobBegan(run.Job, crash)
	if crash {
		o.log.Warn("job taken over, its holder has vanished", "job", run.Job, "scheduled_at", run.ScheduledAt, "fence", run.Fence)
		return
	}
	o.log.Info("job begun", "job", run.Job, "scheduled_at", run.ScheduledAt, "fence", run.Fence)
}

// JobEnded implements job.Observer.
func (o jobObserver) JobEnded(run job.Run, took time.Duration, err error) {
	result := telemetry.JobDone
	args := []any{"job", run.Job, "scheduled_at", run.ScheduledAt, "took", took}
	switch {
	case err == nil:
		o.log.Info("job done", args...)
	case errors.Is(err, job.ErrFenced) || errors.Is(err, job.ErrLost):
		result = telemetry.JobLost
		o.log.Warn("job stopped half-way, another instance goes on with it", append(args, "error", err)...)
	case errors.Is(err, cli.ErrStopped) || errors.Is(err, context.Canceled):
		result = telemetry.JobLost
		o.log.Info("job left to another instance", append(args, "error", err)...)
	default:
		result = telemetry.JobFailed
		o.log.Error("job failed", append(args, "error", err)...)
	}
	o.Metrics.JobEnded(run.Job, result, took)
}

// JobSeen implements job.Observer. The audit's findings are shown by readiness
// too, as a warning: an instance that finds the books wrong goes on with orders.
func (o jobObserver) JobSeen(r job.Record) {
	o.Metrics.JobSeen(r.Job, r.State == job.Failed, r.FinishedAt)
	if r.Job != JobAudit {
		return
	}
	var result audited
	if json.Unmarshal([]byte(r.Result), &result) == nil {
		o.Metrics.Audited(result.Summary.Findings)
	}
	var err error
	if r.State == job.Failed {
		err = errors.New(r.Error)
	}
	o.health.Checked(JobAudit, err)
}

// JobTrouble implements job.Observer.
func (o jobObserver) JobTrouble(name string, err error) {
	o.Metrics.JobTrouble(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rarely("job " + name) {
		o.log.Warn("job not looked after, trying again", "job", name, "error", err)
	}
}
