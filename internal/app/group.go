package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

// groupCommands look at the consumer group and move its place in the log.
type groupCommands struct {
	Describe groupDescribeCommand `cmd:"" help:"Show who is in the group and how far it has come."`
	Reset    groupResetCommand    `cmd:"" help:"Make the group read on from another place. Shows what it would do; --execute does it."`
}

// groupCommand is the part of a command that works on the group alone.
type groupCommand struct {
	Kafka settings.Kafka `embed:""`
	Group settings.Group `embed:""`
	cli.OutputSettings
}

// open reaches the brokers. The caller closes the client.
func (c *groupCommand) open(ctx context.Context, s *cli.Session) (*kafka.Client, error) {
	client, err := c.Kafka.Client(s.Name + "-group")
	if err != nil {
		return nil, cli.Usage("%w", err)
	}
	reach, cancel := context.WithTimeout(ctx, settings.ReachTimeout)
	defer cancel()
	done := s.Waiting("waiting for Kafka at %s to answer", strings.Join(client.Brokers(), ", "))
	_, err = client.Ping(reach)
	done()
	if err != nil {
		client.Close()
		return nil, kafkaFailure(ctx, client, err)
	}
	return client, nil
}

// kafkaFailure is settings.KafkaFailure.
func kafkaFailure(ctx context.Context, client *kafka.Client, err error) error {
	return settings.KafkaFailure(ctx, client.Brokers(), err)
}

// consumedTopics are the topics the group reads that are there: the input, the
// tiers of the settings, and those of former settings. missing are those of the
// settings that are not.
func consumedTopics(ctx context.Context, client *kafka.Client, g settings.Group) (found, missing []string, err error) {
	wanted := g.Topics().Consumed()
	former, err := client.TopicsWithPrefix(ctx, order.TierPrefix(g.Topic, g.Group))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range former {
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	there, err := client.DescribeTopics(ctx, wanted)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range wanted {
		if _, ok := there[name]; ok {
			found = append(found, name)
		} else {
			missing = append(missing, name)
		}
	}
	return found, missing, nil
}

// noTopic is the failure of a command whose topic is not there.
func noTopic(client *kafka.Client, name, program string) error {
	return missingTopic(client, name, program+" run, which creates its topics, or set ORDERS_TOPIC and ORDERS_GROUP")
}

// missingTopic is noTopic for a command that knows something else to try.
func missingTopic(client *kafka.Client, name, try string) error {
	return &cli.Failure{
		Code: cli.ExitNothing,
		Err:  fmt.Errorf("topic %s at %s does not exist, or has partitions without a leader", name, strings.Join(client.Brokers(), ", ")),
		Try:  try,
	}
}

// stopMembers is the failure of what cannot be done while members read.
func stopMembers(group string, members []kafka.Member, again string) error {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.ClientID + " at " + m.Host
	}
	return &cli.Failure{
		Code: cli.ExitFailed,
		Err: fmt.Errorf("group %s is active: %s (%s); a member overwrites any offset that is set while it reads",
			group, cli.Counted(len(members), "member"), strings.Join(names, ", ")),
		Try: "stop them (SIGTERM, docker compose stop consumer, or kubectl scale deploy/consumer --replicas=0), then: " + again,
	}
}
