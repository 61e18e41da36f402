package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Topic is what the cluster says about one topic.
type Topic struct {
	Name string
	// Partitions is their number, Leaderless how many of them nobody serves now.
	Partitions int
	Leaderless int
	// Replication is the number of copies of the partition that has the fewest.
	Replication int
	// MinInSync is how many copies must have a record before a publisher that
	// waits for all is answered.
	MinInSync int
	// MaxMessageBytes is the largest batch of records that is taken.
	MaxMessageBytes int
	// Retention is how long a record is kept at least, negative for ever; zero
	// when it is not told.
	Retention time.Duration
	// RetentionBytes is the size from which on a partition's oldest records are removed,
	// negative for no such size; zero when it is not told.
	RetentionBytes int64
	// Compacted topics forget records whose key comes again.
	Compacted bool
}

// Names of the settings that are asked for, as brokers know them.
const (
	configMinInSync       = "min.insync.replicas"
	configMaxMessageBytes = "max.message.bytes"
	configCleanup         = "cleanup.policy"
	configRetention       = "retention.ms"
	configRetentionBytes  = "retention.bytes"
)

// DescribeTopics tells about those of the topics that exist, by name. A setting
// that the cluster does not tell is zero. Topics that we may not see are an
// error: see MaySee.
func (c *Client) DescribeTopics(ctx context.Context, names []string) (map[string]Topic, error) {
	meta, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: names})
	if err != nil {
		return nil, fmt.Errorf("ask for %d topics: %w", len(names), err)
	}
	topics := make(map[string]Topic, len(names))
	for _, t := range meta.Topics {
		switch {
		case errors.Is(t.Error, kafkago.UnknownTopicOrPartition):
		case t.Error != nil:
			return nil, fmt.Errorf("ask for topic %s: %w", t.Name, t.Error)
		default:
			topics[t.Name] = newTopic(t)
		}
	}
	if len(topics) < len(names) {
		err = c.MaySee(ctx, slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := topics[name]; return ok }))
	}
	if err != nil || len(topics) == 0 {
		return topics, err
	}
	return topics, c.describeConfigs(ctx, topics)
}

// MaySee returns an error, which is Denied, when the brokers do not let us see
// one of the topics. Those that do not exist are fine. It has to be asked apart,
// because the client knows the cluster from a list of all topics, in which those
// that we may not see are missing without a word.
func (c *Client) MaySee(ctx context.Context, names []string) error {
	req := &kafkago.DescribeConfigsRequest{}
	for _, name := range names {
		req.Resources = append(req.Resources, kafkago.DescribeConfigRequestResource{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: name, ConfigNames: []string{configCleanup},
		})
	}
	res, err := c.admin.DescribeConfigs(ctx, req)
	if err != nil {
		return fmt.Errorf("ask for the settings of %d topics: %w", len(names), err)
	}
	for _, resource := range res.Resources {
		if Denied(resource.Error) {
			return fmt.Errorf("ask for the settings of topic %s: %w", resource.ResourceName, resource.Error)
		}
	}
	return nil
}

func newTopic(t kafkago.Topic) Topic {
	topic := Topic{Name: t.Name, Partitions: len(t.Partitions)}
	for i, p := range t.Partitions {
		if p.Error != nil || p.Leader.Host == "" {
			topic.Leaderless++
		}
		if i == 0 || len(p.Replicas) < topic.Replication {
			topic.Replication = len(p.Replicas)
		}
	}
	return topic
}

// describeConfigs fills in the settings of the topics.
func (c *Client) describeConfigs(ctx context.Context, topics map[string]Topic) error {
	req := &kafkago.DescribeConfigsRequest{}
	for name := range topics {
		req.Resources = append(req.Resources, kafkago.DescribeConfigRequestResource{
			ResourceType: kafkago.ResourceTypeTopic,
			ResourceName: name,
			ConfigNames:  []string{configMinInSync, configMaxMessageBytes, configCleanup, configRetention, configRetentionBytes},
		})
	}
	res, err := c.admin.DescribeConfigs(ctx, req)
	if err != nil {
		return fmt.Errorf("ask for the settings of %d topics: %w", len(topics), err)
	}
	for _, resource := range res.Resources {
		topic, ok := topics[resource.ResourceName]
		if resource.Error != nil {
			return fmt.Errorf("ask for the settings of topic %s: %w", resource.ResourceName, resource.Error)
		}
		if !ok {
			continue
		}
		for _, entry := range resource.ConfigEntries {
			topic.set(entry.ConfigName, entry.ConfigValue)
		}
		topics[topic.Name] = topic
	}
	return nil
}

// set notes one setting. A broker that writes no number where there is one has
// not told it.
func (t *Topic) set(name, value string) {
	switch name {
	case configMinInSync:
		t.MinInSync, _ = strconv.Atoi(value)
	case configMaxMessageBytes:
		t.MaxMessageBytes, _ = strconv.Atoi(value)
	case configCleanup:
		t.Compacted = strings.Contains(value, "compact")
	case configRetention:
		t.Retention = retention(value)
	case configRetentionBytes:
		t.RetentionBytes, _ = strconv.ParseInt(value, 10, 64)
	}
}

// retention reads milliseconds. More than a duration holds is for ever.
func retention(value string) time.Duration {
	ms, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return 0
	case ms < 0 || ms > math.MaxInt64/int64(time.Millisecond):
		return -1
	default:
		return time.Duration(ms) * time.Millisecond
	}
}

// Group is what the cluster says about a consumer group.
type Group struct {
	// State is the coordinator's word: Stable, Empty, PreparingRebalance,
	// CompletingRebalance, or Dead for a group that there is not.
	State   string
	Members []Member
}

// Member is one member of a group.
type Member struct {
	ID       string // the coordinator's name for it, which no other member has
	ClientID string
	Host     string
	// Partitions is how many it has been given, Assigned which, by topic.
	Partitions int
	Assigned   map[string][]int
}

// DescribeGroup asks the group's coordinator about it.
func (c *Client) DescribeGroup(ctx context.Context, group string) (found Group, err error) {
	err = again(ctx, func() error {
		found, err = c.describeGroup(ctx, group)
		return err
	})
	return found, err
}

func (c *Client) describeGroup(ctx context.Context, group string) (Group, error) {
	res, err := c.admin.DescribeGroups(ctx, &kafkago.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return Group{}, fmt.Errorf("ask for group %s: %w", group, err)
	}
	for _, g := range res.Groups {
		if g.GroupID != group {
			continue
		}
		if g.Error != nil && !errors.Is(g.Error, kafkago.GroupIdNotFound) {
			return Group{}, fmt.Errorf("ask for group %s: %w", group, g.Error)
		}
		return newGroup(g), nil
	}
	return Group{}, fmt.Errorf("ask for group %s: the answer does not mention it", group)
}

func newGroup(g kafkago.DescribeGroupsResponseGroup) Group {
	group := Group{State: g.GroupState}
	for _, m := range g.Members {
		member := Member{
			ID: m.MemberID, ClientID: m.ClientID, Host: strings.TrimPrefix(m.ClientHost, "/"),
			Assigned: make(map[string][]int),
		}
		for _, topic := range m.MemberAssignments.Topics {
			member.Partitions += len(topic.Partitions)
			member.Assigned[topic.Topic] = append(member.Assigned[topic.Topic], topic.Partitions...)
		}
		group.Members = append(group.Members, member)
	}
	return group
}
