package app

import (
	"context"
	"slices"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

const (
	// prepareTimeout bounds the creation of topics at the start.
	prepareTimeout = 30 * time.Second
	// messageBytes is the largest message retry and dead-letter topics take:
	// the largest event, and as much again for headers.
	messageBytes = 2 << 20
)

// Prepare creates the topics that are missing, and looks which are to be read. It
// must come before Run: a member that joins before its topics exist is given nothing
// to read.
func (i *Instance) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	err := i.ensureTopics(ctx)
	if err != nil {
		return err
	}
	return i.findFormerTiers(ctx)
}

// ensureTopics creates the topics that are missing. The group calls it while the
// instance runs, so it changes nothing of the instance.
func (i *Instance) ensureTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	created, err := i.client.EnsureTopics(ctx, i.settings.topicSpecs())
	if err != nil {
		return &failure{code: ExitUnreachable, err: err, try: "consumer doctor"}
	}
	for _, topic := range created {
		i.log.Info("topic created", "topic", topic, "partitions", i.settings.Topics.Partitions)
	}
	return i.checkHorizon(ctx)
}

// checkHorizon holds the horizon against the topic as it is now, which may have
// been created, or given another retention, since anybody looked.
func (i *Instance) checkHorizon(ctx context.Context) error {
	if i.settings.Dedup.Horizon == 0 {
		return nil
	}
	input := i.settings.Group.Topic
	topics, err := i.client.DescribeTopics(ctx, []string{input})
	if err != nil {
		return &failure{code: ExitUnreachable, err: err, try: "consumer doctor"}
	}
	err = i.settings.Dedup.checkRetention(input, topics[input].Retention)
	if err != nil {
		return &failure{code: ExitUsage, err: err, try: horizonFix}
	}
	return nil
}

// findFormerTiers looks for retry topics of the group that the settings do not
// name: after RETRY_AFTER was changed, events may still wait in them. They are
// read like the others, and what fails again goes to the tiers of today.
func (i *Instance) findFormerTiers(ctx context.Context) error {
	names, err := i.client.TopicsWithPrefix(ctx, order.TierPrefix(i.settings.Group.Topic, i.settings.Group.Group))
	if err != nil {
		return &failure{code: ExitUnreachable, err: err, try: "consumer doctor"}
	}
	today := i.settings.Group.topics().Consumed()
	i.formerTiers = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(today, name) })
	if len(i.formerTiers) > 0 {
		i.log.Info("reading retry topics of former settings too", "topics", i.formerTiers)
	}
	return nil
}

// consumed are the topics the group reads.
func (i *Instance) consumed() []string {
	return append(i.settings.Group.topics().Consumed(), i.formerTiers...)
}

// topicSpecs are the topics of the group as they are created.
func (s ConsumerSettings) topicSpecs() []kafka.TopicSpec {
	var specs []kafka.TopicSpec
	topics := s.Group.topics()
	for _, name := range topics.All() {
		spec := kafka.TopicSpec{Name: name, Partitions: s.Topics.Partitions, Replication: s.Topics.Replication}
		if name != topics.Input && name != topics.Results {
			spec.MaxMessageBytes = messageBytes
		}
		specs = append(specs, spec)
	}
	return specs
}
