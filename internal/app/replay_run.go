package app

import (
	"context"
	"fmt"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/settings"
)

// replayRunCommand plans a replay, and carries it out when told to.
type replayRunCommand struct {
	replayCommand
	Kafka settings.Kafka  `embed:""`
	Group ReplayGroup     `embed:""`
	Dedup settings.Dedup  `embed:""`
	Take  ReplaySelection `embed:""`
	Pace  ReplayPace      `embed:""`
	Deed  ReplayDeed      `embed:""`

	ToTopic     string `help:"Publish to this topic instead of the group's first retry topic. Every group that reads it gets the messages again."`
	ChangesOnly bool   `help:"Leave out what would change nothing."`
}

// Run implements a command.
func (c *replayRunCommand) Run(ctx context.Context, s *cli.Session) error {
	filter, err := c.check()
	if err != nil {
		return err
	}
	client, err := c.Kafka.Client(s.Name + "-replay")
	if err != nil {
		return cli.Usage("%w", err)
	}
	defer client.Close()
	found, err := c.found(ctx, s, client)
	if err != nil {
		return err
	}
	terms := replayTerms{group: c.Group, pace: c.Pace, deed: c.Deed, dedup: c.Dedup, toTopic: c.ToTopic, changesOnly: c.ChangesOnly}
	spec, err := terms.spec(ctx, s, client, found, filter)
	if err != nil {
		return err
	}
	l, store, err := c.store(ctx, s)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // everything is committed, or an error is at hand
	task := &replayTask{session: s, client: client, ledger: l, store: store, spec: spec, ranges: found.ranges, folder: c.Deed.TempFolder}
	return task.planAndDo(ctx, newReplayAnswer(s.Stdout, c.OutputSettings, c.Deed.GoodsShown), replay.KindReplay, c.Deed)
}

// found fixes what is selected.
func (c *replayRunCommand) found(ctx context.Context, s *cli.Session, client *kafka.Client) (resolved, error) {
	if c.Take.Findings != "" {
		return c.Take.resolveFindings(ctx, s, client)
	}
	found, err := c.Take.resolve(ctx, s, client, c.topic(), time.Now())
	if err == nil && (c.Take.From != found.from && found.from != "start" || c.Take.To != "end") {
		s.Say("%s: from %s (inclusive) to %s (exclusive)", s.Name, found.from, found.to)
	}
	return found, err
}

// notDone says what to do after a plan.
func notDone(s *cli.Session, topic string, plan *replay.Plan) error {
	if n := plan.Count(replay.Exhausted); n > 0 {
		s.Say("%s: %d of them have been replayed as often as --max-replays allows; once the cause is fixed, raise it: --max-replays N",
			s.Name, n)
	}
	switch {
	case plan.Scanned == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("topic %s has offsets there, and no message: compaction has taken what stood there", topic),
			Try: s.Name + " replay --topic " + topic + " --from start"}
	case plan.Selected == 0:
		return &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("none of %d messages passes the filter", plan.Scanned),
			Try: "the command with fewer of --order, --goods, --type and --filter"}
	case plan.Publish == 0:
		s.Say("%s: there is nothing to publish", s.Name)
	default:
		s.Say("%s: this was a plan; nothing is published. To do it, add: --execute --reason '...'", s.Name)
	}
	return nil
}

func (c *replayRunCommand) topic() string {
	if c.Take.Topic != "" {
		return c.Take.Topic
	}
	return c.Group.Input
}

// check refuses what makes no sense before anybody is asked.
func (c *replayRunCommand) check() (filter replay.Filter, err error) {
	err = firstError(
		func() (err error) {
			filter, err = c.Take.filter()
			return err
		},
		c.Take.checkIDs, c.Take.checkFindings, c.Pace.check, c.Dedup.Check, c.Deed.check,
		func() error {
			if len(c.Group.RetryAfter) == 0 && c.ToTopic == "" {
				return cli.Usage("the group has no retry tier to publish to: give --to-topic")
			}
			return nil
		})
	return filter, err
}

// firstError makes checks up to the first that fails.
func firstError(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}
