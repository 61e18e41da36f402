package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/crash"
	"orderconsumer/internal/doctor"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// runCommand consumes order events until it is stopped.
type runCommand struct {
	settings.Consumer
	Log       settings.Log `embed:""`
	Migrate   bool         `env:"MIGRATE" help:"Apply pending migrations first; several instances may do so at once."`
	ExitAtEnd bool         `name:"exit-at-end" env:"EXIT_AT_END" help:"Stop when everything that stood in the topic at the start, retry tiers included, is settled. Says which topic it waits for."`

	CrashAt string `name:"crash-at" env:"CRASH_AT" placeholder:"POINT:N" help:"For drills: die by SIGKILL at the N-th passing of a point of the path. docs/faults.md names the points."`

	open OpenLedger
}

// Run implements a command.
func (c *runCommand) Run(take context.Context, s *cli.Session) error {
	log := c.Log.Logger(s.Stderr)
	plan, err := crash.Parse(c.CrashAt)
	if err != nil {
		return cli.Usage("crash-at: %w", err)
	}
	if plan != (crash.Plan{}) {
		log.Warn("CRASH_AT is set: this instance will kill or freeze itself on purpose", "crash_at", plan.String())
	}
	err = c.examine(take, s, log)
	if err != nil {
		return err
	}
	i, err := instance.Open(take, c.Consumer,
		instance.Options{Log: log, ShowPayloads: c.Log.Payload.Shown(), OpenLedger: c.open, Crash: plan.Hook(), StayStopped: !c.ExitAtEnd})
	if err != nil {
		return err
	}
	defer i.Close()
	err = c.prepare(take, s, i)
	if err != nil {
		return err
	}
	c.introduce(log, s.Name)
	began := time.Now()
	err = c.work(take, s, i)
	s.Say("%s", instance.Summary(i.Settled(), time.Since(began)))
	return ended(err, c.Group.Topics().Dead)
}

// introduce writes what matters about an instance that begins, in one line.
func (c *runCommand) introduce(log *slog.Logger, name string) {
	log.Info("consuming", "version", cli.BuildOf(name).Version, "group", c.Group.Group, "topic", c.Group.Topic,
		"retry_after", c.Group.RetryAfter, "workers", c.Flow.Workers, "batch", c.Flow.BatchSize,
		"lock", c.Lock.Mode, "http", c.HTTP)
}

// examine looks at everything before anything is begun: what fails ends the
// program with the words of doctor, what is only worth a warning is logged.
func (c *runCommand) examine(ctx context.Context, s *cli.Session, log *slog.Logger) error {
	err := c.Consumer.Check()
	if err != nil {
		return cli.Usage("%w", err)
	}
	d := doctor.Doctor{Settings: c.Consumer, Open: c.open, Program: s.Name, Patience: doctor.CheckTimeout,
		Starting: true, Migrates: c.Migrate}
	done := s.Waiting("waiting for Kafka, Redis and the database to answer")
	found := d.Examine(ctx)
	done()
	for _, line := range found {
		switch {
		case line.Status == doctor.StatusFail:
			s.Say("%s", line)
		case line.Status == doctor.StatusWarn && !line.Skipped:
			log.Warn("something a consumer needs is not as it should be", "check", line.Name, "finding", line.What, "fix", line.Fix)
		}
	}
	return doctor.Conclude(found)
}

// prepare makes sure that everything is there before the group is joined.
func (c *runCommand) prepare(ctx context.Context, s *cli.Session, i *instance.Instance) error {
	defer s.Waiting("making sure that tables and topics are there")()
	if c.Migrate {
		err := i.Migrate(ctx)
		if err != nil {
			return err
		}
	}
	return i.Prepare(ctx)
}

// work runs the instance, to the end of what there is when that was asked for.
func (c *runCommand) work(take context.Context, s *cli.Session, i *instance.Instance) error {
	if !c.ExitAtEnd {
		return i.Run(take, s.Abort)
	}
	take, stop := context.WithCancel(take)
	defer stop()
	var waiter sync.WaitGroup
	var waitErr error
	waiter.Go(func() {
		defer stop()
		pace := cli.NewPace()
		waitErr = i.WaitSettled(take, func(topic string, left int64) {
			if pace.Due() {
				s.Say("%s left in %s%s", cli.Counted64(left, "message"), topic, c.tierNote(topic))
			}
		})
	})
	err := i.Run(take, s.Abort)
	stop()
	waiter.Wait()
	if err == nil && waitErr != nil && !errors.Is(waitErr, context.Canceled) {
		err = waitErr
	}
	return err
}

// tierNote says why a tier takes its time.
func (c *runCommand) tierNote(topic string) string {
	for _, tier := range c.Group.Topics().Tiers {
		if tier.Topic == topic {
			return fmt.Sprintf(" (a retry tier: each is due %s after it came)", tier.Delay)
		}
	}
	return ""
}

// ended gives the errors that end a consumer their next command.
func ended(err error, deadLetters string) error {
	switch {
	case errors.Is(err, order.ErrTooManyDead):
		return &cli.Failure{Code: cli.ExitFailed, Err: err,
			Try: "look at the newest messages of " + deadLetters + " (their headers say why); raise --max-dead-ratio only if they are as expected"}
	case errors.Is(err, kafka.ErrDataLoss):
		return &cli.Failure{Code: cli.ExitFailed, Err: err,
			Try: "find out which orders are missing, then start once with --accept-data-loss; a log that was cut is read from its start then, or from where it was cut after: consumer group reset --topics=TOPIC --only-partitions=N --to=OFFSET --execute"}
	default:
		return err
	}
}
