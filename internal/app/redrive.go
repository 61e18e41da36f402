package app

import (
	"context"
	"errors"
	"fmt"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/redrive"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// redriveCommands look through a group's dead letters and bring them back.
type redriveCommands struct {
	Groups  redriveGroupsCommand  `cmd:"" help:"Show the dead letters by what they died of: how many, since when, and an example."`
	List    redriveListCommand    `cmd:"" help:"Show dead letters, one a line."`
	Show    redriveShowCommand    `cmd:"" help:"Show one dead letter whole: its bytes, its headers, and every attempt."`
	Retry   redriveRetryCommand   `cmd:"" help:"Say what publishing open dead letters again would do, and with --execute do it: to the group's first retry topic, in stages. Go on with a stopped one by: replay resume."`
	Archive redriveArchiveCommand `cmd:"" help:"Decide that nothing is to be done about dead letters. They stay in the log."`
	Restore redriveRestoreCommand `cmd:"" help:"Take that back."`
}

// redriveCommand is the part of a command that works on dead letters.
type redriveCommand struct {
	databaseCommand
	cli.OutputSettings
	Kafka settings.Kafka `embed:""`
	Group settings.Group `embed:""`
}

// LetterSelection chooses dead letters.
type LetterSelection struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"Dead letters, by their place in the dead-letter topic: partition/offset, as list shows it."`
	Causes []string `name:"cause" sep:"none" help:"Those of this cause or code, as groups shows it. May be given several times."`
	Orders []string `name:"order" help:"Those of these orders."`
	Types  []string `name:"type" enum:"order.created,order.cancelled" help:"Those of these types of events: order.created, order.cancelled."`
}

// filter reads the selection; states are those that the command is about.
func (c *LetterSelection) filter(states []redrive.State) (redrive.Filter, error) {
	f := redrive.Filter{Causes: c.Causes, Orders: c.Orders, Types: c.Types, States: states}
	for _, text := range c.IDs {
		id, err := redrive.ParseID(text)
		if err != nil {
			return f, cli.Usage("%w", err)
		}
		f.IDs = append(f.IDs, id)
	}
	return f, nil
}

// all is true for a selection that chooses nothing in particular.
func (c *LetterSelection) all() bool { return len(c.IDs)+len(c.Causes)+len(c.Orders)+len(c.Types) == 0 }

// desk is where a command works on dead letters: the servers, and the box with
// all of them.
type desk struct {
	client *kafka.Client
	ledger *ledger.Ledger
	box    *redrive.Box
	topics order.Topics
}

// openDesk looks through the dead letters. The caller closes the desk.
func (c *redriveCommand) openDesk(ctx context.Context, s *cli.Session) (_ *desk, err error) {
	at := groupCommand{Kafka: c.Kafka, Group: c.Group}
	d := &desk{topics: c.Group.Topics()}
	d.client, err = at.open(ctx, s)
	if err != nil {
		return nil, err
	}
	d.ledger, err = c.connectMigrated(ctx, s)
	if err == nil {
		err = d.look(ctx, s, c.Group)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *desk) close() {
	if d.ledger != nil {
		_ = d.ledger.Close() // everything is committed, or an error is at hand
	}
	d.client.Close()
}

// look opens the box.
func (d *desk) look(ctx context.Context, s *cli.Session, g settings.Group) error {
	there, err := d.client.DescribeTopics(ctx, []string{d.topics.Dead})
	if err != nil {
		return kafkaFailure(ctx, d.client, err)
	}
	if _, ok := there[d.topics.Dead]; !ok {
		return noTopic(d.client, d.topics.Dead, "consumer")
	}
	tiers, _, err := consumedTopics(ctx, d.client, g)
	if err != nil {
		return kafkaFailure(ctx, d.client, err)
	}
	log := letterLog{client: d.client, group: g.Group, dead: d.topics.Dead, input: g.Topic, consumed: tiers, session: s}
	d.box, err = redrive.Look(ctx, d.topics.Dead, &log, d.ledger, marks{d.ledger})
	if errors.Is(err, stock.ErrUnavailable) {
		return databaseFailure(ctx, err)
	}
	return kafkaFailure(ctx, d.client, err)
}

// letterLog is the log as package redrive asks for it.
type letterLog struct {
	client      *kafka.Client
	group       string
	dead, input string
	consumed    []string
	session     *cli.Session
}

// Letters implements redrive.Log.
func (l *letterLog) Letters(ctx context.Context, visit func(order.Message) error) error {
	ranges, err := l.client.Ranges(ctx, l.dead)
	if err != nil {
		return err
	}
	return l.counted(ctx, "dead letters read", ranges, visit)
}

// Unsettled implements redrive.Log.
func (l *letterLog) Unsettled(ctx context.Context, visit func(order.Message) error) error {
	var ranges []kafka.Range
	for _, topic := range l.consumed {
		if topic == l.input {
			continue
		}
		positions, err := l.client.Positions(ctx, l.group, []string{topic})
		if err != nil {
			return err
		}
		for _, p := range positions {
			ranges = append(ranges, kafka.Range{Topic: topic, Partition: p.Partition, From: p.End - p.Lag(), To: p.End})
		}
	}
	return l.counted(ctx, "events that wait read", ranges, visit)
}

// counted reads the ranges and tells how far it is.
func (l *letterLog) counted(ctx context.Context, what string, ranges []kafka.Range, visit func(order.Message) error) error {
	total := int64(0)
	for _, r := range ranges {
		total += r.Messages()
	}
	count := newReadCounter(l.session, what, total)
	return l.client.Scan(ctx, ranges, func(m order.Message) error {
		count.one()
		return visit(m)
	})
}

// marks are the marks in the database as package redrive asks for them.
type marks struct{ ledger *ledger.Ledger }

// LetterMarks implements redrive.Marks.
func (m marks) LetterMarks(ctx context.Context, topic string) ([]redrive.Mark, error) {
	rows, err := m.ledger.LetterMarks(ctx, topic)
	list := make([]redrive.Mark, len(rows))
	for i, r := range rows {
		list[i] = redrive.Mark{ID: redrive.ID{Partition: r.Partition, Offset: r.Offset}, Seq: r.Seq, AppendedAt: r.AppendedAt,
			Kind: redrive.MarkKind(r.Mark), Note: r.Note, Actor: r.Actor, At: r.At}
	}
	return list, err
}

// MarkLetters implements redrive.Marks.
func (m marks) MarkLetters(ctx context.Context, topic string, list []redrive.Mark) error {
	rows := make([]ledger.LetterMark, len(list))
	for i, r := range list {
		rows[i] = ledger.LetterMark{Partition: r.Partition, Offset: r.Offset, Seq: r.Seq, AppendedAt: r.AppendedAt,
			Mark: string(r.Kind), Note: r.Note, Actor: r.Actor, At: r.At}
	}
	return m.ledger.MarkLetters(ctx, topic, rows)
}

// nobody is the failure of a selection without letters.
func (d *desk) nobody(s *cli.Session, what string) error {
	return &cli.Failure{
		Code: cli.ExitNothing,
		Err:  fmt.Errorf("%s: none of the %s in %s", what, cli.Counted(len(d.box.Letters), "dead letter"), d.topics.Dead),
		Try:  s.Name + " redrive list --state all",
	}
}
