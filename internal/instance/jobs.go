package instance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/job"
	"orderconsumer/internal/report"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// Names of the jobs.
const (
	JobAudit   = "audit"
	JobCleanUp = "clean-up"
)

// JobNames are all of them.
var JobNames = []string{JobAudit, JobCleanUp}

const (
	// shownFindings is how many findings of an audit are kept in its record; all of
	// them are what consumer audit prints.
	shownFindings = 20
	// cleanUpMargin is how much longer than the horizon orders are kept. An event is
	// held against the horizon when it is read; it may wait for the database after
	// that, and clocks differ.
	cleanUpMargin = 24 * time.Hour
)

// JobTalk is where long jobs say how far they are, and how often.
type JobTalk struct {
	Log   *slog.Logger
	Every time.Duration
}

// Jobs are the jobs of a consumer. The clean-up is there without a horizon too:
// asked to run, it says what it lacks.
func Jobs(s settings.Consumer, l *ledger.Ledger, talk JobTalk) ([]job.Job, error) {
	auditing, err := job.ParseSchedule(s.Jobs.Audit)
	if err != nil {
		return nil, fmt.Errorf("audit-schedule: %w", err)
	}
	cleanUp, err := job.ParseSchedule(s.Jobs.CleanUp)
	if err != nil {
		return nil, fmt.Errorf("clean-up-schedule: %w", err)
	}
	list := []job.Job{
		{Name: JobAudit, Schedule: auditing, Do: auditJob{l, talk}.do},
		{Name: JobCleanUp, Schedule: cleanUp, Do: cleanUpJob{l, talk, s.Dedup.Horizon}.do},
	}
	if s.Dedup.Horizon == 0 {
		list[1].Schedule, list[1].Off = job.Schedule{}, errNoHorizon
	}
	return list, nil
}

// auditJob holds every row against what is promised of it.
type auditJob struct {
	ledger *ledger.Ledger
	talk   JobTalk
}

// audited is the result that is recorded of an audit.
type audited struct {
	Summary report.Summary   `json:"summary"`
	First   []report.Finding `json:"first_findings,omitempty"`
}

func (j auditJob) do(ctx context.Context, _ job.Run) (string, error) {
	var result audited
	pace := cli.NewPaceOf(j.talk.Every)
	summary, err := j.ledger.Audit(ctx, stock.AuditOptions{
		Report: func(f stock.Finding) {
			if len(result.First) < shownFindings {
				result.First = append(result.First, report.OfLedger(f))
			}
		},
		Progress: func(now stock.Summary) {
			if pace.Due() {
				j.talk.Log.Info("audit goes on", "orders", now.Orders, "movements", now.Movements, "goods", now.Goods)
			}
		},
	})
	result.Summary = report.NewSummary(summary)
	text, encodeErr := json.Marshal(result)
	switch {
	case err != nil:
		return string(text), err
	case encodeErr != nil:
		return "", fmt.Errorf("write the result: %w", encodeErr)
	case !summary.Clean():
		return string(text), report.Dirty(summary)
	default:
		return string(text), nil
	}
}

// cleanUpJob removes the orders from before the horizon.
type cleanUpJob struct {
	ledger  *ledger.Ledger
	talk    JobTalk
	horizon time.Duration
}

func (j cleanUpJob) do(ctx context.Context, run job.Run) (string, error) {
	pace := cli.NewPaceOf(j.talk.Every)
	done, err := j.ledger.CleanUp(ctx, run, stock.CleanUp{
		Before: time.Now().Add(-j.horizon - cleanUpMargin),
		Progress: func(now stock.CleanedUp) {
			if pace.Due() {
				j.talk.Log.Info("clean-up goes on", "looked_at", now.Looked, "orders_removed", now.Orders)
			}
		},
	})
	text, encodeErr := json.Marshal(done)
	if err == nil && encodeErr != nil {
		err = fmt.Errorf("write the result: %w", encodeErr)
	}
	if err == nil && done.Kept > 0 {
		err = fmt.Errorf("%s kept, because an audit would find something about them", cli.Counted64(done.Kept, "old order"))
	}
	return string(text), err
}

var errNoHorizon = errors.New("no order may be removed: DEDUP_HORIZON is not set, so every event that comes again must find its order")

// instanceJobTalk is how often a long job of an instance says how far it is.
const instanceJobTalk = 10 * time.Second

// HolderName is who this process is, for records and for people.
func HolderName() string {
	return fmt.Sprintf("%s:%d", cli.HostName(), os.Getpid())
}

// jobRunner is what runs the jobs of an instance.
func (i *Instance) jobRunner() (*job.Runner, error) {
	list, err := Jobs(i.settings, i.ledger, JobTalk{Log: i.log, Every: instanceJobTalk})
	if err != nil {
		return nil, &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	deps := job.Deps{Records: i.ledger, Observer: jobObserver{i.observer}, Now: time.Now}
	if i.jobLocker != nil {
		deps.Locker = JobLocker{i.jobLocker}
	}
	return job.NewRunner(job.Config{
		Holder:       HolderName(),
		Lease:        i.settings.Jobs.Lease,
		LockRequired: i.settings.Lock.Mode == settings.LockRequired,
		Jobs:         list,
	}, deps), nil
}

// runJobs looks after the jobs until either context ends. They do not hold up a
// stop: what is under way is left to another instance.
func (i *Instance) runJobs(take, around context.Context) error {
	if i.settings.Jobs.Mode == settings.JobsOff || i.settings.Jobs.Mode == "" {
		return nil
	}
	runner, err := i.jobRunner()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(take)
	defer stop()
	defer context.AfterFunc(around, stop)()
	runner.Run(ctx)
	return nil
}
