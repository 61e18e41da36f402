package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// topicPoll is how often the metadata is asked whether a new topic is ready.
const topicPoll = 50 * time.Millisecond

// TopicSpec is a topic as it is created when it is missing. A topic that
// exists is left as it is.
type TopicSpec struct {
	Name        string
	Partitions  int
	Replication int
	// MaxMessageBytes is the largest record; zero leaves it to the broker.
	// Retry and dead-letter copies carry more headers than their original, so
	// theirs must be larger than the input's.
	MaxMessageBytes int
	// Retention is how long records are kept; zero leaves it to the broker, and
	// Forever keeps them whatever their age and number.
	Retention time.Duration
}

// Forever is the retention of a topic that nothing is removed from.
const Forever time.Duration = -1

// EnsureTopics creates what is missing and returns when every partition has a
// leader, with the names that were created. It must be done before the group
// is joined: a member that joins before its topic exists is assigned nothing,
// and is told nothing about it.
func (c *Client) EnsureTopics(ctx context.Context, specs []TopicSpec) (created []string, err error) {
	missing, err := c.missing(ctx, specs)
	if err != nil {
		return nil, err
	}
	for _, spec := range missing {
		err := c.create(ctx, spec)
		if err != nil {
			return created, err
		}
		created = append(created, spec.Name)
	}
	for {
		missing, err = c.missing(ctx, specs)
		if err == nil && len(missing) == 0 {
			return created, nil
		}
		select {
		case <-ctx.Done():
			return created, fmt.Errorf("wait for topics %v to be ready: %w", names(missing), errors.Join(ctx.Err(), err))
		case <-time.After(topicPoll):
		}
	}
}

func (c *Client) create(ctx context.Context, spec TopicSpec) error {
	topic := kafkago.TopicConfig{
		Topic:             spec.Name,
		NumPartitions:     spec.Partitions,
		ReplicationFactor: spec.Replication,
	}
	set := func(name, value string) {
		topic.ConfigEntries = append(topic.ConfigEntries, kafkago.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	if spec.MaxMessageBytes > 0 {
		set(configMaxMessageBytes, strconv.Itoa(spec.MaxMessageBytes))
	}
	switch {
	case spec.Retention > 0:
		set(configRetention, strconv.FormatInt(spec.Retention.Milliseconds(), 10))
	case spec.Retention < 0:
		set(configRetention, "-1")
		set(configRetentionBytes, "-1") // which brokers may bound, too
	}
	res, err := c.admin.CreateTopics(ctx, &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{topic}})
	if err == nil {
		err = res.Errors[spec.Name]
	}
	// Another instance that starts at the same time may have been faster.
	if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s (%d partitions, replication %d): %w",
			spec.Name, spec.Partitions, spec.Replication, err)
	}
	return nil
}

// DeleteTopics removes topics with all that stands in them and returns when
// they are gone, so that one of the same name can be created. Topics that do
// not exist are gone already. It is for those who made the topics for
// themselves, such as benchmarks.
func (c *Client) DeleteTopics(ctx context.Context, names []string) error {
	res, err := c.admin.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("delete %d topics: %w", len(names), err)
	}
	for _, name := range names {
		err := res.Errors[name]
		if err != nil && !errors.Is(err, kafkago.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
	}
	for {
		left, err := c.DescribeTopics(ctx, names)
		if err == nil && len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d topics to be gone: %w", len(left), errors.Join(ctx.Err(), err))
		case <-time.After(topicPoll):
		}
	}
}

// DeleteGroup removes a group that has no members any more and its committed
// offsets. A group that does not exist is gone already.
func (c *Client) DeleteGroup(ctx context.Context, group string) error {
	res, err := c.admin.DeleteGroups(ctx, &kafkago.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err == nil {
		err = res.Errors[group]
	}
	if err != nil && !errors.Is(err, kafkago.GroupIdNotFound) {
		return fmt.Errorf("delete group %s: %w", group, err)
	}
	return nil
}

// missing are the topics that do not exist or lack a leader somewhere.
func (c *Client) missing(ctx context.Context, specs []TopicSpec) ([]TopicSpec, error) {
	found, err := c.Partitions(ctx, names(specs))
	if err != nil {
		return specs, err
	}
	return slices.DeleteFunc(slices.Clone(specs), func(s TopicSpec) bool {
		return len(found[s.Name]) > 0
	}), nil
}

// Partitions are the partitions of the topics that exist and can be used:
// those of which any partition lacks a leader are left out, like those that
// do not exist.
func (c *Client) Partitions(ctx context.Context, topics []string) (map[string][]int, error) {
	meta, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, fmt.Errorf("ask for partitions of %s: %w", strings.Join(topics, ", "), err)
	}
	found := make(map[string][]int)
	for _, topic := range meta.Topics {
		ready := topic.Error == nil && len(topic.Partitions) > 0
		var ids []int
		for _, p := range topic.Partitions {
			ready = ready && p.Error == nil && p.Leader.Host != ""
			ids = append(ids, p.ID)
		}
		if ready {
			slices.Sort(ids)
			found[topic.Name] = ids
		}
	}
	return found, nil
}

// TopicsWithPrefix are the names of the topics that begin so, sorted.
func (c *Client) TopicsWithPrefix(ctx context.Context, prefix string) ([]string, error) {
	meta, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{})
	if err != nil {
		return nil, fmt.Errorf("ask for topics that begin with %s: %w", prefix, err)
	}
	var found []string
	for _, topic := range meta.Topics {
		if topic.Error == nil && strings.HasPrefix(topic.Name, prefix) {
			found = append(found, topic.Name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func names(specs []TopicSpec) []string {
	list := make([]string, len(specs))
	for i, s := range specs {
		list[i] = s.Name
	}
	return list
}
