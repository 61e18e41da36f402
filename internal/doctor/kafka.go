package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
)

// Names of the checks of Kafka, in their order.
const (
	CheckBrokers     = "kafka"
	CheckTopics      = "topics"
	CheckPartitions  = "partitions"
	CheckMessageSize = "message size"
	CheckReplication = "replication"
	CheckCompaction  = "compaction"
	CheckRetention   = "retention"
	CheckHorizon     = "dedup horizon"
	CheckGroup       = "group"
	CheckOffsets     = "offsets"
)

// kafka examines the brokers, the topics and the group.
func (d Doctor) kafka(ctx context.Context, c *chart) {
	brokers := strings.Join(d.Settings.Kafka.Brokers, ",")
	client, err := d.Settings.Kafka.Client("order-consumer-doctor")
	if err != nil {
		c.note(Finding{Name: CheckBrokers, Status: StatusFail, What: err.Error(), Fix: "set KAFKA_BROKERS and what goes with it"})
		c.skip("it is not known how to reach the brokers", CheckTopics, CheckGroup)
		return
	}
	defer client.Close()
	n, err := client.Ping(ctx)
	if err != nil {
		fix, there := d.Settings.Kafka.Fix(err)
		what := "no broker answers at"
		if there {
			what = "no broker serves us at"
		}
		c.note(Finding{Name: CheckBrokers, Status: StatusFail, Unreachable: !there,
			What: fmt.Sprintf("%s %s: %s", what, brokers, reason(ctx, err)), Fix: fix})
		c.skip(strings.TrimSuffix(what, " at"), CheckTopics, CheckGroup)
		return
	}
	c.ok(CheckBrokers, "%s, reached through %s%s", cli.Counted(n, "broker"), brokers, d.Settings.Kafka.Manner())
	what, fix := d.Settings.Kafka.Risk()
	c.exposed(CheckBrokers, what, fix)
	d.topics(ctx, client, c)
	d.group(ctx, client, c)
}

// advertised is the fix when brokers answer at the address that was given, and
// not at the one they call their own.
const advertised = "brokers send clients on to their advertised.listeners; make those reachable from here"

// group examines the consumer group and its place in the log.
func (d Doctor) group(ctx context.Context, client *kafka.Client, c *chart) {
	name := d.Settings.Group.Group
	group, err := client.DescribeGroup(ctx, name)
	if err != nil {
		c.note(d.unanswered(CheckGroup, reason(ctx, err), err))
		return
	}
	idle, partitions := 0, 0
	for _, m := range group.Members {
		partitions += m.Partitions
		if m.Partitions == 0 {
			idle++
		}
	}
	switch {
	case len(group.Members) == 0:
		c.ok(CheckGroup, "%s has no members (%s)", name, strings.ToLower(group.State))
	case idle > 0 && group.State == "Stable":
		c.note(Finding{Name: CheckGroup, Status: StatusWarn,
			What: fmt.Sprintf("%d of the %d members of %s have nothing to do", idle, len(group.Members), name),
			Fix:  "run fewer instances, or create topics with more partitions (TOPIC_PARTITIONS)"})
	default:
		c.ok(CheckGroup, "%s has %s, which share %s (%s)", name,
			cli.Counted(len(group.Members), "member"), cli.Counted(partitions, "partition"), strings.ToLower(group.State))
	}
	if group.State == "Dead" {
		c.ok(CheckOffsets, "%s has settled nothing yet", name)
		return
	}
	d.offsets(ctx, client, c)
}

// unanswered is the finding of a question about the group that the brokers did
// not answer. A cluster that is busy with itself, as a fresh one is with its
// first group, is no reason not to start: the consumer waits for it.
func (d Doctor) unanswered(check, what string, err error) Finding {
	f := Finding{Name: check, Status: StatusFail, Unreachable: true, What: what, Fix: advertised}
	switch {
	case kafka.Busy(err):
		f.Status, f.Unreachable, f.Fix = StatusWarn, false, "look again in a few seconds"
	case kafka.Denied(err):
		f.Unreachable, f.Fix = false, d.Settings.Kafka.Grant()
	}
	return f
}

// offsets looks for events that were removed before the group has read them.
func (d Doctor) offsets(ctx context.Context, client *kafka.Client, c *chart) {
	topics := d.Settings.Group.Topics().Consumed()
	found, err := client.Partitions(ctx, topics)
	var positions []kafka.Position
	if err == nil {
		// What is missing has been told; run creates it.
		topics = slices.DeleteFunc(topics, func(name string) bool { return len(found[name]) == 0 })
		positions, err = client.Positions(ctx, d.Settings.Group.Group, topics)
	}
	if err != nil {
		c.note(d.unanswered(CheckOffsets, reason(ctx, err), err))
		return
	}
	lag := int64(0)
	var errs []error
	for _, p := range positions {
		lag += p.Lag()
		errs = append(errs, lost(p))
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		c.ok(CheckOffsets, "%s to be settled", cli.Counted(int(lag), "message"))
		return
	}
	f := Finding{Name: CheckOffsets, Status: StatusFail,
		What: "messages were removed before they were read: " + strings.ReplaceAll(errors.Join(errs...).Error(), "\n", ", "),
		Fix:  fmt.Sprintf("find out which orders are missing, then start once with: %s run --accept-data-loss", d.Program)}
	if d.Settings.Member.AcceptDataLoss {
		f.Status = StatusWarn
	}
	c.note(f)
}

// lost is what a consumer would refuse to go on from; nil: nothing.
func lost(p kafka.Position) error {
	switch {
	case p.Parted != "":
		return fmt.Errorf("%s/%d: %s", p.Topic, p.Partition, p.Parted)
	case p.Committed == kafka.NoCommit:
		return nil
	case p.Committed < p.First:
		return fmt.Errorf("%s/%d lost offsets %d to %d", p.Topic, p.Partition, p.Committed, p.First-1)
	case p.Committed > p.End:
		return fmt.Errorf("%s/%d ends at %d, below the committed offset %d", p.Topic, p.Partition, p.End, p.Committed)
	}
	return nil
}
