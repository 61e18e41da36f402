package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

// Names of the checks of Kafka, in their order.
const (
	checkBrokers     = "kafka"
	checkTopics      = "topics"
	checkPartitions  = "partitions"
	checkMessageSize = "message size"
	checkReplication = "replication"
	checkCompaction  = "compaction"
	checkGroup       = "group"
	checkOffsets     = "offsets"
)

// kafka examines the brokers, the topics and the group.
func (d doctor) kafka(ctx context.Context, c *chart) {
	brokers := strings.Join(d.settings.Kafka.Brokers, ",")
	client, err := d.settings.Kafka.Client("order-consumer-doctor")
	if err != nil {
		c.note(finding{Name: checkBrokers, Status: statusFail, What: err.Error(), Fix: "set KAFKA_BROKERS"})
		c.skip("it is not known where the brokers are", checkTopics, checkGroup)
		return
	}
	defer client.Close()
	n, err := client.Ping(ctx)
	if err != nil {
		c.note(finding{Name: checkBrokers, Status: statusFail, Unreachable: true,
			What: fmt.Sprintf("no broker answers at %s: %s", brokers, reason(ctx, err)),
			Fix:  startServers("KAFKA_BROKERS")})
		c.skip("no broker answers", checkTopics, checkGroup)
		return
	}
	c.ok(checkBrokers, "%s, reached through %s", counted(n, "broker"), brokers)
	d.topics(ctx, client, c)
	d.group(ctx, client, c)
}

// advertised is the fix when brokers answer at the address that was given, and
// not at the one they call their own.
const advertised = "brokers send clients on to their advertised.listeners; make those reachable from here"

// topics examines the topics of the group.
func (d doctor) topics(ctx context.Context, client *kafka.Client, c *chart) {
	topics := d.settings.Group.topics()
	found, err := client.DescribeTopics(ctx, topics.All())
	if err != nil {
		c.note(finding{Name: checkTopics, Status: statusFail, Unreachable: true, What: reason(ctx, err), Fix: advertised})
		return
	}
	d.existence(topics, found, c)
	list := slices.SortedFunc(maps.Values(found), func(a, b kafka.Topic) int { return strings.Compare(a.Name, b.Name) })
	if input, ok := found[topics.Input]; ok {
		comparePartitions(topics, input, found, c)
		d.compareSizes(topics, input, found, c)
	}
	if len(list) > 0 {
		d.copies(list, c)
		d.compaction(list, c)
	}
}

// existence examines whether the topics are there and served.
func (d doctor) existence(topics order.Topics, found map[string]kafka.Topic, c *chart) {
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
		c.note(finding{Name: checkTopics, Status: statusFail,
			What: "partitions without a leader: " + strings.Join(unserved, ", "),
			Fix:  "start the brokers that hold them"})
	case len(missing) > 0 && d.starting:
		c.ok(checkTopics, "%d of %d are there, the others are going to be created", len(found), len(topics.All()))
	case len(missing) > 0:
		c.note(finding{Name: checkTopics, Status: statusFail,
			What: "missing: " + strings.Join(missing, ", "),
			Fix:  fmt.Sprintf("run: %s run (it creates them), or set ORDERS_TOPIC and ORDERS_GROUP", d.program)})
	default:
		c.ok(checkTopics, "all %d are there, %s has %s", len(found), topics.Input,
			counted(found[topics.Input].Partitions, "partition"))
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
		c.ok(checkPartitions, "retry tiers have as many as %s, %d", input.Name, input.Partitions)
		return
	}
	c.note(finding{Name: checkPartitions, Status: statusWarn,
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
func (d doctor) compareSizes(topics order.Topics, input kafka.Topic, found map[string]kafka.Topic, c *chart) {
	var small []string
	for _, name := range append(topics.Consumed()[1:], topics.Dead) {
		topic, ok := found[name]
		if ok && topic.MaxMessageBytes > 0 && topic.MaxMessageBytes < input.MaxMessageBytes {
			small = append(small, fmt.Sprintf("%s takes %d bytes", name, topic.MaxMessageBytes))
		}
	}
	if len(small) == 0 {
		c.ok(checkMessageSize, "retry tiers and dead letters take what %s takes, %d bytes", input.Name, input.MaxMessageBytes)
		return
	}
	c.note(finding{Name: checkMessageSize, Status: statusFail,
		What: fmt.Sprintf("%s takes %d bytes, %s", input.Name, input.MaxMessageBytes, strings.Join(small, ", ")),
		Fix:  d.alterTopic(fmt.Sprintf("max.message.bytes=%d", max(input.MaxMessageBytes, messageBytes)))})
}

// copies examines how many copies there are of every record.
func (d doctor) copies(topics []kafka.Topic, c *chart) {
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
		c.note(finding{Name: checkReplication, Status: statusFail,
			What: "nothing can be written to " + strings.Join(stuck, ", "),
			Fix:  d.alterTopic("min.insync.replicas=1") + ", or add replicas"})
	}
	if len(single) > 0 {
		c.note(finding{Name: checkReplication, Status: statusWarn,
			What: "a lost disk is lost orders, there is one copy only of " + someOf(single, len(topics)),
			Fix:  "on a cluster of three brokers create topics with TOPIC_REPLICATION=3"})
	}
	if len(thin) > 0 {
		c.note(finding{Name: checkReplication, Status: statusWarn,
			What: "min.insync.replicas is 1, a record may be acknowledged with one copy, in " + someOf(thin, len(topics)),
			Fix:  d.alterTopic("min.insync.replicas=2")})
	}
	if len(stuck)+len(single)+len(thin) == 0 {
		c.ok(checkReplication, "at least %d copies of every record, %d before it is acknowledged",
			slices.MinFunc(topics, func(a, b kafka.Topic) int { return a.Replication - b.Replication }).Replication,
			slices.MinFunc(topics, func(a, b kafka.Topic) int { return a.MinInSync - b.MinInSync }).MinInSync)
	}
}

// compaction looks for topics that forget: two events of one order have the same
// key, and the first may be gone before it is read.
func (d doctor) compaction(topics []kafka.Topic, c *chart) {
	var compacted []string
	for _, topic := range topics {
		if topic.Compacted {
			compacted = append(compacted, topic.Name)
		}
	}
	if len(compacted) > 0 {
		c.note(finding{Name: checkCompaction, Status: statusWarn,
			What: "compacted topics forget an order's earlier events: " + strings.Join(compacted, ", "),
			Fix:  d.alterTopic("cleanup.policy=delete")})
	}
}

// alterTopic is the command that changes a setting of a topic.
func (d doctor) alterTopic(setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name TOPIC --add-config %s",
		d.settings.Kafka.Brokers[0], setting)
}

// group examines the consumer group and its place in the log.
func (d doctor) group(ctx context.Context, client *kafka.Client, c *chart) {
	name := d.settings.Group.Group
	group, err := client.DescribeGroup(ctx, name)
	if err != nil {
		c.note(finding{Name: checkGroup, Status: statusFail, Unreachable: true, What: reason(ctx, err),
			Fix: "give the brokers time to elect a coordinator, or look into their logs"})
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
		c.ok(checkGroup, "%s has no members (%s)", name, strings.ToLower(group.State))
	case idle > 0 && group.State == "Stable":
		c.note(finding{Name: checkGroup, Status: statusWarn,
			What: fmt.Sprintf("%d of the %d members of %s have nothing to do", idle, len(group.Members), name),
			Fix:  "run fewer instances, or create topics with more partitions (TOPIC_PARTITIONS)"})
	default:
		c.ok(checkGroup, "%s has %s, which share %s (%s)", name,
			counted(len(group.Members), "member"), counted(partitions, "partition"), strings.ToLower(group.State))
	}
	if group.State == "Dead" {
		c.ok(checkOffsets, "%s has settled nothing yet", name)
		return
	}
	d.offsets(ctx, client, c)
}

// offsets looks for events that were removed before the group has read them.
func (d doctor) offsets(ctx context.Context, client *kafka.Client, c *chart) {
	positions, err := client.Positions(ctx, d.settings.Group.Group, d.settings.Group.topics().Consumed())
	if err != nil {
		c.note(finding{Name: checkOffsets, Status: statusFail, Unreachable: true, What: reason(ctx, err), Fix: advertised})
		return
	}
	lag := int64(0)
	var errs []error
	for _, p := range positions {
		lag += p.Lag()
		switch {
		case p.Committed == kafka.NoCommit:
		case p.Committed < p.First:
			errs = append(errs, fmt.Errorf("%s/%d lost offsets %d to %d", p.Topic, p.Partition, p.Committed, p.First-1))
		case p.Committed > p.End:
			errs = append(errs, fmt.Errorf("%s/%d ends at %d, below the committed offset %d", p.Topic, p.Partition, p.End, p.Committed))
		}
	}
	if len(errs) == 0 {
		c.ok(checkOffsets, "%s to be settled", counted(int(lag), "message"))
		return
	}
	f := finding{Name: checkOffsets, Status: statusFail,
		What: "messages were removed before they were read: " + strings.ReplaceAll(errors.Join(errs...).Error(), "\n", ", "),
		Fix:  fmt.Sprintf("find out which orders are missing, then start once with: %s run --accept-data-loss", d.program)}
	if d.settings.Member.AcceptDataLoss {
		f.Status = statusWarn
	}
	c.note(f)
}

// someOf names topics, unless it is all of them.
func someOf(names []string, all int) string {
	if len(names) == all && all > 1 {
		return fmt.Sprintf("all %d topics", all)
	}
	return strings.Join(names, ", ")
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
