package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// unownedTimeout bounds one look.
	unownedTimeout = 3 * time.Second
	// unownedEvery is how often a member looks for partitions that nobody
	// reads. It costs two small requests.
	unownedEvery = 5 * time.Second
	// unownedSoon is the wait before the look of a member that has nothing to
	// read, which is the likeliest sign of it.
	unownedSoon = time.Second
)

// errUnowned ends a generation that leaves partitions without a reader.
var errUnowned = errors.New("partitions of the group have no reader")

// watchUnowned calls stop when partitions of the group's topics are read by
// nobody, twice in a row, and returns then or when ctx ends.
//
// The client looks at the topics twice, and nothing says that it saw the same:
// the leader when it assigns, and each member's watcher, which compares with
// what it saw first. A topic that is made, or grows, between the two looks
// belongs to nobody, and no watcher ever sees a change. A single missing topic
// even leaves all others unassigned.
func (a *assignment) watchUnowned(ctx context.Context, stop func(error)) {
	c := a.consumer
	every, seen := unownedEvery, false
	if len(a.partitions) == 0 {
		every = unownedSoon
	}
	for sleep(ctx, every) == nil {
		unowned, err := c.client.unowned(ctx, c.cfg.Group, c.cfg.Topics)
		if err != nil {
			continue // who cannot be asked now is asked again; readiness tells of it
		}
		if unowned > 0 && seen {
			c.log.WarnContext(ctx, "joining again: partitions have no reader", "group", c.cfg.Group,
				"generation", a.generation.ID, "partitions", unowned)
			stop(fmt.Errorf("%w: %d", errUnowned, unowned))
			return
		}
		seen = unowned > 0
	}
}

// unowned counts the partitions of topics that no member of the group has been
// given. It is zero while the group is settling who reads what.
func (c *Client) unowned(ctx context.Context, group string, topics []string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, unownedTimeout)
	defer cancel()
	groups, err := c.admin.DescribeGroups(ctx, &kafkago.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return 0, fmt.Errorf("ask for the members of group %s: %w", group, err)
	}
	owned := make(map[string]int)
	for _, g := range groups.Groups {
		if g.GroupID != group || g.Error != nil || g.GroupState != "Stable" {
			return 0, g.Error
		}
		for _, m := range g.Members {
			for _, t := range m.MemberAssignments.Topics {
				owned[t.Topic] += len(t.Partitions)
			}
		}
	}
	meta, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: topics})
	if err != nil {
		return 0, fmt.Errorf("ask for the partitions of %v: %w", topics, err)
	}
	unowned := 0
	for _, t := range meta.Topics {
		if t.Error == nil {
			unowned += max(len(t.Partitions)-owned[t.Name], 0)
		}
	}
	return unowned, nil
}
