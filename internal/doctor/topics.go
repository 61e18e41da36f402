package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// topics examines the topics of the group.
func (d Doctor) topics(ctx context.Context, client *kafka.Client, c *chart) {
	topics := d.Settings.Group.Topics()
	found, err := client.DescribeTopics(ctx, topics.All())
	if err != nil {
		c.note(d.unanswered(CheckTopics, reason(ctx, err), err))
		return
	}
	d.existence(topics, found, c)
	list := slices.SortedFunc(maps.Values(found), func(a, b kafka.Topic) int { return strings.Compare(a.Name, b.Name) })
	if input, ok := found[topics.Input]; ok {
		comparePartitions(topics, input, found, c)
		d.compareSizes(topics, input, found, c)
		d.horizon(input, c)
	}
	if len(list) > 0 {
		d.copies(list, c)
		d.compaction(list, c)
	}
	d.retention(topics, found, c)
}

// existence examines whether the topics are there and served.
func (d Doctor) existence(topics order.Topics, found map[string]kafka.Topic, c *chart) {
	var missing, unserved []string
	for _, name := range topics.All() {
		topic, ok := found[name]
		switch {
		case !ok:
			missing = append(missing, name)
		case topic.Leaderless > 0:
			unserved = append(unserved, fmt.Sprintf("%s (%d of %d)", name, topic.Leaderless, topic.Partitions))
		}
	}
	switch {
	case len(unserved) > 0:
		c.note(Finding{Name: CheckTopics, Status: StatusFail,
			What: "partitions without a leader: " + strings.Join(unserved, ", "),
			Fix:  "start the brokers that hold them"})
	case len(missing) > 0 && d.Starting:
		c.ok(CheckTopics, "%d of %d are there, the others are going to be created", len(found), len(topics.All()))
	case len(missing) > 0:
		c.note(Finding{Name: CheckTopics, Status: StatusFail,
			What: "missing: " + strings.Join(missing, ", "),
			Fix:  fmt.Sprintf("run: %s run (it creates them), or set ORDERS_TOPIC and ORDERS_GROUP", d.Program)})
	default:
		c.ok(CheckTopics, "all %d are there, %s has %s", len(found), topics.Input,
			cli.Counted(found[topics.Input].Partitions, "partition"))
	}
}

// comparePartitions holds the retry tiers against the input. With as many
// partitions as it has, each member is given as large a share of the retries as
// of the orders.
func comparePartitions(topics order.Topics, input kafka.Topic, found map[string]kafka.Topic, c *chart) {
	var unlike []string
	for _, tier := range topics.Tiers {
		topic, ok := found[tier.Topic]
		if ok && topic.Partitions != input.Partitions {
			unlike = append(unlike, fmt.Sprintf("%s has %d", tier.Topic, topic.Partitions))
		}
	}
	if len(unlike) == 0 {
		c.ok(CheckPartitions, "retry tiers have as many as %s, %d", input.Name, input.Partitions)
		return
	}
	c.note(Finding{Name: CheckPartitions, Status: StatusWarn,
		What: fmt.Sprintf("%s has %d, %s", input.Name, input.Partitions, strings.Join(unlike, ", ")),
		Fix:  fmt.Sprintf("kafka-topics.sh --alter --topic TOPIC --partitions %d", max(input.Partitions, mostPartitions(found)))})
}

// mostPartitions: their number can only grow.
func mostPartitions(found map[string]kafka.Topic) int {
	most := 0
	for _, topic := range found {
		most = max(most, topic.Partitions)
	}
	return most
}

// compareSizes looks for topics that would not take what failed: an event that
// can be read and neither retried nor put aside holds up its partition for ever.
func (d Doctor) compareSizes(topics order.Topics, input kafka.Topic, found map[string]kafka.Topic, c *chart) {
	var small []string
	for _, name := range append(topics.Consumed()[1:], topics.Dead) {
		topic, ok := found[name]
		if ok && topic.MaxMessageBytes > 0 && topic.MaxMessageBytes < input.MaxMessageBytes {
			small = append(small, fmt.Sprintf("%s takes %d bytes", name, topic.MaxMessageBytes))
		}
	}
	if len(small) == 0 {
		c.ok(CheckMessageSize, "retry tiers and dead letters take what %s takes, %d bytes", input.Name, input.MaxMessageBytes)
		return
	}
	c.note(Finding{Name: CheckMessageSize, Status: StatusFail,
		What: fmt.Sprintf("%s takes %d bytes, %s", input.Name, input.MaxMessageBytes, strings.Join(small, ", ")),
		Fix:  d.alterTopic(fmt.Sprintf("max.message.bytes=%d", max(input.MaxMessageBytes, settings.MessageBytes)))})
}

// copies examines how many copies there are of every record.
func (d Doctor) copies(topics []kafka.Topic, c *chart) {
	var single, stuck, thin []string
	for _, topic := range topics {
		switch {
		case topic.MinInSync > topic.Replication:
			stuck = append(stuck, fmt.Sprintf("%s (min.insync.replicas %d of %d)", topic.Name, topic.MinInSync, topic.Replication))
		case topic.Replication == 1:
			single = append(single, topic.Name)
		case topic.MinInSync == 1:
			thin = append(thin, topic.Name)
		}
	}
	if len(stuck) > 0 {
		c.note(Finding{Name: CheckReplication, Status: StatusFail,
			What: "nothing can be written to " + strings.Join(stuck, ", "),
			Fix:  d.alterTopic("min.insync.replicas=1") + ", or add replicas"})
	}
	if len(single) > 0 {
		c.note(Finding{Name: CheckReplication, Status: StatusWarn,
			What: "a lost disk is lost orders, there is one copy only of " + someOf(single, len(topics)),
			Fix:  "on a cluster of three brokers create topics with TOPIC_REPLICATION=3"})
	}
	if len(thin) > 0 {
		c.note(Finding{Name: CheckReplication, Status: StatusWarn,
			What: "min.insync.replicas is 1, a record may be acknowledged with one copy, in " + someOf(thin, len(topics)),
			Fix:  d.alterTopic("min.insync.replicas=2")})
	}
	if len(stuck)+len(single)+len(thin) == 0 {
		c.ok(CheckReplication, "at least %d copies of every record, %d before it is acknowledged",
			slices.MinFunc(topics, func(a, b kafka.Topic) int { return a.Replication - b.Replication }).Replication,
			slices.MinFunc(topics, func(a, b kafka.Topic) int { return a.MinInSync - b.MinInSync }).MinInSync)
	}
}

// compaction looks for topics that forget: two events of one order have the same
// key, and the first may be gone before it is read.
func (d Doctor) compaction(topics []kafka.Topic, c *chart) {
	var compacted []string
	for _, topic := range topics {
		if topic.Compacted {
			compacted = append(compacted, topic.Name)
		}
	}
	if len(compacted) > 0 {
		c.note(Finding{Name: CheckCompaction, Status: StatusWarn,
			What: "compacted topics forget an order's earlier events: " + strings.Join(compacted, ", "),
			Fix:  d.alterTopic("cleanup.policy=delete")})
	}
}

// retention looks for topics that remove what failed: a dead letter is the only copy of its order
// once the input has dropped it, and so is a retry that waits through an outage.
func (d Doctor) retention(topics order.Topics, found map[string]kafka.Topic, c *chart) {
	var removing, untold []string
	kept := 0
	for _, name := range append(topics.Consumed()[1:], topics.Dead) {
		topic, ok := found[name]
		switch {
		case !ok:
		case name != topics.Dead && topic.Retention >= settings.TierRetention && topic.RetentionBytes <= 0:
			kept++
		case topic.Retention > 0:
			removing = append(removing, fmt.Sprintf("%s after %s", name, topic.Retention))
		case topic.RetentionBytes > 0:
			removing = append(removing, fmt.Sprintf("%s from %d bytes a partition on", name, topic.RetentionBytes))
		case topic.Retention == 0:
			untold = append(untold, name)
		default:
			kept++
		}
	}
	fix := d.alterTopic("retention.ms=-1,retention.bytes=-1")
	if len(removing) > 0 {
		c.note(Finding{Name: CheckRetention, Status: StatusWarn,
			What: "orders that failed are removed, whether or not anybody has looked at them: " + strings.Join(removing, ", "), Fix: fix})
	}
	if len(untold) > 0 {
		c.note(Finding{Name: CheckRetention, Status: StatusWarn,
			What: "it is not told how long orders that failed are kept in " + strings.Join(untold, ", "), Fix: "make sure: " + fix})
	}
	if kept > 0 && len(removing)+len(untold) == 0 {
		c.ok(CheckRetention, "dead letters are kept until somebody removes them, retries for %s at least", settings.TierRetention)
	}
}

// horizon examines whether every event the topic still has is young enough.
func (d Doctor) horizon(input kafka.Topic, c *chart) {
	s := d.Settings.Dedup
	err := s.CheckRetention(input.Name, input.Retention)
	switch {
	case err != nil:
		c.note(Finding{Name: CheckHorizon, Status: StatusFail, What: err.Error(), Fix: settings.HorizonFix})
	case s.Horizon == 0:
		c.ok(CheckHorizon, "none, every order is remembered")
	case input.Retention == 0:
		c.note(Finding{Name: CheckHorizon, Status: StatusWarn,
			What: fmt.Sprintf("%s does not tell how long it keeps events", input.Name),
			Fix:  fmt.Sprintf("make sure that its retention.ms and %s together are at most %s", s.ReplayWindow, s.Horizon)})
	default:
		c.ok(CheckHorizon, "%s: %s keeps events for %s, and they may come again for %s", s.Horizon, input.Name, input.Retention, s.ReplayWindow)
	}
}

// alterTopic is the command that changes a setting of a topic.
func (d Doctor) alterTopic(setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name TOPIC --add-config %s",
		d.Settings.Kafka.Brokers[0], setting)
}

// someOf names topics, unless it is all of them.
func someOf(names []string, all int) string {
	if len(names) == all && all > 1 {
		return fmt.Sprintf("all %d topics", all)
	}
	return strings.Join(names, ", ")
}
