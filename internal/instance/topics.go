package instance

import (
	"context"
	"errors"
	"slices"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// prepareTimeout bounds the creation of topics at the start.
const prepareTimeout = 30 * time.Second

// Prepare creates the topics that are missing, and looks which are to be read. It
// must come before Run: a member that joins before its topics exist is given nothing
// to read.
func (i *Instance) Prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	err := i.EnsureTopics(ctx)
	if err != nil {
		return err
	}
	return i.findFormerTiers(ctx)
}

// EnsureTopics creates the topics that are missing. The group calls it while the
// instance runs, so it changes nothing of the instance.
func (i *Instance) EnsureTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	created, err := i.client.EnsureTopics(ctx, i.settings.TopicSpecs())
	if err != nil {
		return i.topicsFailure(ctx, err)
	}
	for _, topic := range created {
		i.log.Info("topic created", "topic", topic, "partitions", i.settings.Topics.Partitions)
	}
	return i.checkHorizon(ctx)
}

// topicsFailure gives an error of the topics its code and the next command. What the
// brokers answer and will not do, doctor may explain.
func (i *Instance) topicsFailure(ctx context.Context, err error) error {
	err = settings.KafkaFailure(ctx, i.client.Brokers(), err)
	if _, told := errors.AsType[*cli.Failure](err); told || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: "consumer doctor"}
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
		return i.topicsFailure(ctx, err)
	}
	err = i.settings.Dedup.CheckRetention(input, topics[input].Retention)
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: settings.HorizonFix}
	}
	return nil
}

// findFormerTiers looks for retry topics of the group that the settings do not
// name: after RETRY_AFTER was changed, events may still wait in them. They are
// read like the others, and what fails again goes to the tiers of today.
func (i *Instance) findFormerTiers(ctx context.Context) error {
	names, err := i.client.TopicsWithPrefix(ctx, order.TierPrefix(i.settings.Group.Topic, i.settings.Group.Group))
	if err != nil {
		return i.topicsFailure(ctx, err)
	}
	today := i.settings.Group.Topics().Consumed()
	i.formerTiers = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(today, name) })
	if len(i.formerTiers) > 0 {
		i.log.Info("reading retry topics of former settings too", "topics", i.formerTiers)
	}
	return nil
}

// Consumed are the topics the group reads, those of former settings too once Prepare has found them.
func (i *Instance) Consumed() []string {
	return append(i.settings.Group.Topics().Consumed(), i.formerTiers...)
}
