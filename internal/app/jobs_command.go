package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/job"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
)

// jobCommands look at jobs and run them by hand.
type jobCommands struct {
	List    jobListCommand    `cmd:"" help:"Show the jobs, when they run, and how the newest run went."`
	Run     jobRunCommand     `cmd:"" help:"Run a job now, unless an instance does. Ctrl-C hands the run to an instance, which goes on with it."`
	History jobHistoryCommand `cmd:"" help:"Show the newest runs."`
}

// jobSettings is the part of a command that works on jobs. It has all settings
// of run, so that one command line serves for both.
type jobSettings struct {
	settings.Consumer
	cli.OutputSettings

	open OpenLedger
}

// connect opens the database.
func (c *jobSettings) connect(ctx context.Context, s *cli.Session) (*ledger.Ledger, error) {
	if err := c.Check(); err != nil {
		return nil, cli.Usage("%w", err)
	}
	return databaseCommand{Database: c.Database, open: c.open}.connectMigrated(ctx, s)
}

// jobListCommand shows the jobs.
type jobListCommand struct{ jobSettings }

// Run implements a command.
func (c *jobListCommand) Run(ctx context.Context, s *cli.Session) error {
	l, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	list, err := instance.Jobs(c.Consumer, l, instance.JobTalk{})
	if err != nil {
		return cli.Usage("%w", err)
	}
	shown := make([]shownJob, 0, len(list))
	for _, j := range list {
		if c.Jobs.Mode == settings.JobsOff {
			j.Schedule = job.Schedule{} // whatever it says, instances with these settings do not look at it
		}
		one, err := showJob(ctx, l, j)
		if err != nil {
			return databaseFailure(ctx, err)
		}
		shown = append(shown, one)
	}
	err = writeAll(c.OutputSettings, s.Stdout, "jobs", fmt.Sprintf(jobRow, "JOB", "SCHEDULE (UTC)", "NEXT", "NEWEST RUN"), shown)
	if err != nil {
		return err
	}
	for _, j := range list {
		if j.Off != nil {
			s.Say("%s is off: %v", j.Name, j.Off)
		}
	}
	return nil
}

// jobHistoryCommand shows the newest runs.
type jobHistoryCommand struct {
	databaseCommand
	cli.OutputSettings
	cli.ListLimit
	Job string `arg:"" optional:"" help:"Only runs of this job."`
}

const (
	// runsShown is how many runs a person is shown.
	runsShown = 20
	// runsPage is how many are read at a time: each has a result of up to 256 KiB.
	runsPage = 100
)

// Run implements a command.
func (c *jobHistoryCommand) Run(ctx context.Context, s *cli.Session) error {
	most, err := c.Most(c.OutputSettings, runsShown)
	if err != nil {
		return err
	}
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // it was only read
	w := rowWriter[shownRun]{OutputSettings: c.OutputSettings, to: s.Stdout, member: "runs", head: runHead()}
	more, err := c.pages(ctx, l, most, &w)
	if err != nil {
		return err
	}
	if w.n == 0 && c.Job != "" && !slices.Contains(instance.JobNames, c.Job) {
		return noJob(s, c.Job)
	}
	if err := w.end(); err != nil {
		return err
	}
	switch {
	case w.n == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: c.nothing(), Try: s.Name + " job list"}
	case more:
		s.Say("the newest %d shown: --limit 0 shows all", w.n)
	}
	return nil
}

// pages writes up to most runs, all if it is 0, and says whether there are more.
func (c *jobHistoryCommand) pages(ctx context.Context, l *ledger.Ledger, most int, w *rowWriter[shownRun]) (more bool, err error) {
	var last *job.Record
	for {
		page, err := l.RunsBefore(ctx, c.Job, last, runsPage)
		if err != nil {
			return false, databaseFailure(ctx, err)
		}
		for _, r := range page {
			if most > 0 && w.n == most {
				return true, nil
			}
			if err := w.row(showRun(r)); err != nil {
				return false, err
			}
		}
		if len(page) < runsPage {
			return false, nil
		}
		last = &page[len(page)-1]
	}
}

func (c *jobHistoryCommand) nothing() error {
	if c.Job == "" {
		return errors.New("no job has been run")
	}
	return fmt.Errorf("job %s has not been run", c.Job)
}

// noJob is the end of a command that was given a name that no job has.
func noJob(s *cli.Session, name string) error {
	return &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("there is no job %q", name), Try: s.Name + " job list"}
}

// jobRunCommand runs one job.
type jobRunCommand struct {
	jobSettings
	Job string `arg:"" help:"Its name; job list shows them."`
}

// Run implements a command.
func (c *jobRunCommand) Run(ctx context.Context, s *cli.Session) error {
	l, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // the run is recorded, or an error is at hand
	log := settings.Log{Format: "text", Level: "info"}.Logger(s.Stderr)
	list, err := instance.Jobs(c.Consumer, l, instance.JobTalk{Log: log, Every: cli.LineEvery})
	if err != nil {
		return cli.Usage("%w", err)
	}
	at := slices.IndexFunc(list, func(j job.Job) bool { return j.Name == c.Job })
	if at < 0 {
		return noJob(s, c.Job)
	}
	if off := list[at].Off; off != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: fmt.Errorf("job %s: %w", c.Job, off),
			Try: s.Name + " job run " + c.Job + " --dedup-horizon, as the instances have it"}
	}
	locker, closeLocker, err := c.locker()
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	defer closeLocker()
	runner := job.NewRunner(job.Config{
		Holder: instance.HolderName(), Lease: max(c.Jobs.Lease, job.MinLease), LockRequired: c.Lock.Mode == settings.LockRequired,
	}, job.Deps{Records: l, Locker: locker, Observer: nobodyWatches{}, Now: time.Now})
	record, err := runner.RunNow(ctx, list[at], func(holder string) {
		s.Say("%s has not finished its run; waiting up to %s to see whether it still moves", holder, job.LockExpiry(c.Jobs.Lease))
	})
	if err != nil {
		return c.failure(ctx, s, err)
	}
	return c.tell(s, record)
}

// locker opens the lock of the jobs; nil where it is off.
func (c *jobRunCommand) locker() (job.Locker, func(), error) {
	if c.Lock.Mode == settings.LockOff {
		return nil, func() {}, nil
	}
	clients, err := c.Redis.Clients(lock.ClientConfig{Name: "order-consumer-job"})
	if err != nil {
		return nil, nil, err
	}
	locker, err := instance.NewJobLocker(clients, c.Group.Group, max(c.Jobs.Lease, job.MinLease))
	if err != nil {
		return nil, nil, err
	}
	return instance.JobLocker{Locker: locker}, func() {
		locker.Close()
		for _, client := range clients {
			_ = client.Close() // nothing is under way on it
		}
	}, nil
}

func (c *jobRunCommand) failure(ctx context.Context, s *cli.Session, err error) error {
	var running *job.RunningError
	switch {
	case errors.As(err, &running):
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: fmt.Sprintf("%s job history %s", s.Name, c.Job)}
	case errors.Is(err, cli.ErrStopped):
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: fmt.Sprintf("%s job history %s: an instance goes on with it", s.Name, c.Job)}
	case errors.Is(err, job.ErrLockUnavailable):
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: s.Name + " doctor, or --lock optional"}
	default:
		return databaseFailure(ctx, err)
	}
}

// tell writes the record, and makes a failed run the end of the command.
func (c *jobRunCommand) tell(s *cli.Session, r job.Record) error {
	shown := showRun(r)
	err := writeAll(c.OutputSettings, s.Stdout, "runs", runHead(), []shownRun{shown})
	if err != nil {
		return err
	}
	if r.State == job.Failed {
		return fmt.Errorf("job %s: %s", r.Job, r.Error)
	}
	return nil
}

// nobodyWatches is the observer of a command that says how it went itself.
type nobodyWatches struct{}

// JobBegan implements job.Observer.
func (nobodyWatches) JobBegan(job.Run, job.Cause, bool) {}

// JobEnded implements job.Observer.
func (nobodyWatches) JobEnded(job.Run, time.Duration, error) {}

// JobSeen implements job.Observer.
func (nobodyWatches) JobSeen(job.Record) {}

// JobTrouble implements job.Observer.
func (nobodyWatches) JobTrouble(string, error) {}
