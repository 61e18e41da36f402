package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/replay/replaysql"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// replayCommands publish parts of topics again.
type replayCommands struct {
	Run    replayRunCommand    `cmd:"" default:"withargs" help:"Say what publishing a part of a topic again would do, and with --execute do it; the default command."`
	List   replayListCommand   `cmd:"" help:"List replays and redrives, the newest first."`
	Show   replayShowCommand   `cmd:"" help:"Show one replay or redrive."`
	Resume replayResumeCommand `cmd:"" help:"Go on with a replay that was stopped, or whose process has died."`
	Cancel replayCancelCommand `cmd:"" help:"End a replay for good. What was published stays published."`
}

// ReplayGroup names the group that messages are replayed for.
type ReplayGroup struct {
	Group      string          `env:"ORDERS_GROUP" default:"order-consumer" help:"Consumer group that the messages are for; its first retry topic takes them."`
	Input      string          `name:"input-topic" env:"ORDERS_TOPIC" default:"orders" help:"Topic the group's order events come from."`
	RetryAfter []time.Duration `name:"retry-after" env:"RETRY_AFTER" default:"5s,30s,5m" help:"Delay of each of the group's retry tiers, as its consumers have it."`
}

func (g ReplayGroup) topics() order.Topics { return order.NewTopics(g.Input, g.Group, g.RetryAfter) }

// ReplayPace says how messages are published and when to stop.
type ReplayPace struct {
	Rate      float64       `env:"REPLAY_RATE" default:"1000" help:"Most messages a second; 0 for as many as there can be."`
	Ramp      string        `env:"REPLAY_RAMP" default:"" placeholder:"1,10,100,rest" help:"Sizes of the stages. After each stage the replay waits until the group has settled it. none: publish without waiting or looking. Default: 1,10,100,rest, or none where the group does not read what is published to."`
	MaxFailed float64       `env:"REPLAY_MAX_FAILED" default:"0.1" help:"Share of a stage that may fail again (go to the next retry tier or to the dead letters); at more than that the replay stops."`
	Audit     bool          `env:"REPLAY_AUDIT" default:"true" negatable:"" help:"Audit the database before the first stage and after each, and stop when anything is found."`
	Patience  time.Duration `env:"REPLAY_PATIENCE" default:"2m" help:"How long nothing may move (Kafka, the database, the consumer) before the replay stops."`
}

// check refuses what makes no sense.
func (p ReplayPace) check() error {
	switch {
	case !(p.Rate >= 0):
		return cli.Usage("--rate is %v, must be at least 0", p.Rate)
	case !(p.MaxFailed >= 0 && p.MaxFailed <= 1):
		return cli.Usage("--max-failed is %v, must be 0..1", p.MaxFailed)
	case p.Patience <= 0:
		return cli.Usage("--patience is %s, must be more than 0", p.Patience)
	}
	return nil
}

// replayCommand is the part of a command that works on replays.
type replayCommand struct {
	databaseCommand
	cli.OutputSettings
}

// replayLog is the log as package replay asks for it.
type replayLog struct {
	client *kafka.Client
	group  string
}

// logError is an error of Kafka, where others may come up in the same place.
type logError struct{ error }

// Unwrap returns what Kafka said.
func (e *logError) Unwrap() error { return e.error }

// Scan implements replay.Reader.
func (l replayLog) Scan(ctx context.Context, r replay.Range, visit func(order.Message) error) error {
	var theirs error // of visit; the messages of one range come one after the other
	err := l.client.Scan(ctx, []kafka.Range{kafka.Range(r)}, func(m order.Message) error {
		theirs = visit(m)
		return theirs
	})
	if err != nil && theirs == nil {
		return &logError{err}
	}
	return err
}

// Positions implements replay.Log.
func (l replayLog) Positions(ctx context.Context, topics []string) ([]replay.Position, error) {
	found, err := l.client.Positions(ctx, l.group, topics)
	positions := make([]replay.Position, len(found))
	for i, p := range found {
		positions[i] = replay.Position{Topic: p.Topic, Partition: p.Partition, First: p.First, End: p.End, Committed: p.End - p.Lag()}
	}
	return positions, err
}

// waitingFor knows the orders that wait in the group's retry tiers and among its
// dead letters now; those that the replay of that id has put there do not. A topic
// that is there and cannot be asked is an error: a cancel would overtake what waits
// in it.
func (l replayLog) waitingFor(ctx context.Context, s *cli.Session, g settings.Group, id string) (interface {
	replay.Waiting
	Close()
}, error) {
	names, _, err := consumedTopics(ctx, l.client, g)
	if err != nil {
		return nil, err
	}
	dead := g.Topics().Dead
	there, err := l.client.DescribeTopics(ctx, []string{dead})
	if err != nil {
		return nil, err
	}
	if _, ok := there[dead]; ok {
		names = append(names, dead)
	}
	var ranges []replay.Range
	for _, name := range names {
		if name == g.Topic { // what is still to be read there is no create that has been read
			continue
		}
		positions, err := l.client.Positions(ctx, l.group, []string{name})
		if err != nil {
			return nil, fmt.Errorf("find out which orders wait: %w", err)
		}
		for _, p := range positions {
			from := p.End - p.Lag()
			if name == dead { // nobody settles dead letters
				from = p.First
			}
			ranges = append(ranges, replay.Range{Topic: name, Partition: p.Partition, From: from, To: p.End})
		}
	}
	counter := newReadCounter(s, "events that wait and dead letters read", replay.Total(ranges))
	return replay.NewWaiting(countedReader{l, counter}, ranges, id, ""), nil
}

// countedReader tells a person how far a reading is.
type countedReader struct {
	replay.Reader
	counter *readCounter
}

// Scan implements replay.Reader.
func (r countedReader) Scan(ctx context.Context, part replay.Range, visit func(order.Message) error) error {
	return r.Reader.Scan(ctx, part, func(m order.Message) error {
		r.counter.one()
		return visit(m)
	})
}

// auditFor counts the findings of an audit, and tells how far it is.
func auditFor(l *ledger.Ledger, tell func(stock.Summary)) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		summary, err := l.Audit(ctx, stock.AuditOptions{Progress: tell})
		return summary.Findings, err
	}
}

// horizonOf refuses events from before the dedup horizon, as consumers do.
func horizonOf(s settings.Dedup) func(*order.Message, *order.Delivery, *order.Event) error {
	if s.Horizon == 0 {
		return nil
	}
	return func(m *order.Message, d *order.Delivery, e *order.Event) error {
		return order.CheckHorizon(s.Horizon, order.EventTime(m, d, e), time.Now())
	}
}

// newReplayID is a name that sorts by time and can be typed.
func newReplayID(now time.Time) string {
	return now.UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:5])
}

// whoIs is who a command is run by: whom it was told, or the user and the machine.
func whoIs(told string) string {
	if told != "" {
		return told
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + cli.HostName()
}

// replayHolder is this process, and this call: no other holder has the name.
func replayHolder() string {
	return fmt.Sprintf("%s/%d/%s", cli.HostName(), os.Getpid(), strings.ToLower(rand.Text()[:5]))
}

// store opens the database and its table of replays. The caller closes the
// ledger.
func (c *replayCommand) store(ctx context.Context, s *cli.Session) (*ledger.Ledger, *replaysql.Store, error) {
	l, err := c.connectMigrated(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return l, replaysql.New(l), nil
}

// replayFailure gives an error about a replay its code and the next command.
func replayFailure(ctx context.Context, s *cli.Session, id string, err error) error {
	if err == nil {
		return nil
	}
	command := func(what string) string { return fmt.Sprintf("%s replay %s %s", s.Name, what, id) }
	if shared, ok := errors.AsType[*replay.SharedError](err); ok {
		other := &shared.Other
		try := fmt.Sprintf("%s replay show %s until it is done, or %s replay cancel %s", s.Name, other.ID, s.Name, other.ID)
		if other.Interrupted() {
			try = fmt.Sprintf("%s replay resume %s, or %s replay cancel %s", s.Name, other.ID, s.Name, other.ID)
		}
		return &cli.Failure{Code: cli.ExitFailed, Err: shared, Try: try}
	}
	switch {
	case errors.Is(err, replay.ErrNoReplay):
		return &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("%s: %w", id, replay.ErrNoReplay), Try: s.Name + " replay list"}
	case errors.Is(err, replay.ErrHeld):
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("%w; if that process has died, its hold ends %s after it was last heard of", err, replay.Lease),
			Try: command("show") + ", then " + command("resume") + " or " + command("cancel")}
	case errors.Is(err, replay.ErrEnded), errors.Is(err, replay.ErrLost):
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: command("show")}
	}
	if stopped, ok := errors.AsType[*replay.StoppedError](err); ok {
		return &cli.Failure{Code: cli.ExitPartial, Err: fmt.Errorf("replay %s %w", id, stopped), Try: command("show") + ", then " + command("resume") + " or " + command("cancel")}
	}
	return databaseFailure(ctx, err)
}
