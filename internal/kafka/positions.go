package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// NoCommit is the committed offset of a partition that has none.
const NoCommit = -1

// Position is how far a group has come in one partition.
type Position struct {
	Topic     string
	Partition int
	First     int64 // the oldest offset the log still has
	End       int64 // the offset the next message will get
	Committed int64 // or NoCommit
	// Parted is why the group does not go on at the committed offset: the log is not the one
	// that was read. It is empty as a rule.
	Parted string
}

// Lag is how many messages are still to be settled. A group without a commit
// has everything before it, and so has one whose commit is behind the log's
// end: that log was made anew, and the commit speaks of another one. A commit
// below the log's start leaves what is left.
func (p Position) Lag() int64 {
	committed := p.Committed
	if committed > p.End {
		committed = p.First
	}
	return max(0, p.End-max(committed, p.First))
}

// Positions tells how far the group has come in every partition of the
// topics.
func (c *Client) Positions(ctx context.Context, group string, topics []string) ([]Position, error) {
	partitions, err := c.Partitions(ctx, topics)
	if err != nil {
		return nil, err
	}
	// A topic that cannot be asked now must not count as one without messages.
	for _, topic := range topics {
		if len(partitions[topic]) == 0 {
			if err := c.MaySee(ctx, []string{topic}); Denied(err) {
				return nil, err
			}
			return nil, fmt.Errorf("positions in %s: %w", topic, kafkago.LeaderNotAvailable)
		}
	}
	committed, err := c.committed(ctx, group, partitions)
	if err != nil {
		return nil, err
	}
	bounds, err := c.allBounds(ctx, partitions)
	if err != nil {
		return nil, err
	}
	var list []Position
	for _, topic := range topics {
		for _, id := range partitions[topic] {
			p := bounds[topic][id]
			p.Committed = NoCommit
			if commit, ok := committed[topic][id]; ok {
				p.Committed, p.Parted = commit.offset, commit.parted
			}
			list = append(list, p)
		}
	}
	return list, nil
}

// commit is what a group has committed of a partition: the offset, and why it does not go on there
// (empty as a rule, see partedNote).
type commit struct {
	offset int64
	parted string
}

// committed are the group's committed offsets; a partition without one is
// left out.
func (c *Client) committed(ctx context.Context, group string, partitions map[string][]int) (offsets map[string]map[int]commit, err error) {
	err = again(ctx, func() error {
		offsets, err = c.fetchCommitted(ctx, group, partitions)
		return err
	})
	return offsets, err
}

func (c *Client) fetchCommitted(ctx context.Context, group string, partitions map[string][]int) (map[string]map[int]commit, error) {
	res, err := c.admin.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: group, Topics: partitions})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafkago.GroupIdNotFound) {
		return nil, nil // a group that was never used has committed nothing
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of group %s: %w", group, err)
	}
	offsets := make(map[string]map[int]commit)
	for topic, list := range res.Topics {
		offsets[topic] = make(map[int]commit)
		for _, p := range list {
			if p.Error != nil {
				return nil, fmt.Errorf("ask for the offset of group %s in %s/%d: %w", group, topic, p.Partition, p.Error)
			}
			if p.CommittedOffset >= 0 {
				offsets[topic][p.Partition] = commit{offset: p.CommittedOffset, parted: partedIn(p.Metadata)}
			}
		}
	}
	return offsets, nil
}

// settledPoll is how often WaitSettled looks.
const settledPoll = 100 * time.Millisecond

// WaitSettled returns when the group has settled everything that stood in
// input when it was called, and everything that went into the tiers because
// of it. progress is told which topic is waited for, and how many
// of its messages are left.
//
// What fails in one topic goes to the next, never back. So once a topic is
// settled up to its end, all that came of it stands in the next one, below the
// end that one has now; messages that others publish meanwhile are not waited
// for.
func (c *Client) WaitSettled(ctx context.Context, group, input string, tiers []string, progress func(topic string, left int64)) error {
	for _, topic := range append([]string{input}, tiers...) {
		err := c.waitSettled(ctx, group, topic, func(left int64) { progress(topic, left) })
		if err != nil {
			return err
		}
	}
	return nil
}

// waitSettled waits for what stands in one topic now.
func (c *Client) waitSettled(ctx context.Context, group, topic string, progress func(left int64)) error {
	var ends map[int]int64
	for {
		positions, err := c.Positions(ctx, group, []string{topic})
		if err == nil && len(positions) > 0 {
			if ends == nil {
				ends = endsOf(positions)
			}
			left := leftBelow(positions, ends)
			if left == 0 {
				return nil
			}
			progress(left)
		}
		// The brokers may be away for a while; the question stays.
		err = sleep(ctx, settledPoll)
		if err != nil {
			return err
		}
	}
}

func endsOf(positions []Position) map[int]int64 {
	ends := make(map[int]int64, len(positions))
	for _, p := range positions {
		ends[p.Partition] = p.End
	}
	return ends
}

// leftBelow counts the messages below the ends that are not settled. A
// partition that was added since has none.
func leftBelow(positions []Position, ends map[int]int64) int64 {
	left := int64(0)
	for _, p := range positions {
		// Not Lag: the group may have gone on beyond the ends since.
		left += max(0, ends[p.Partition]-max(p.Committed, p.First))
	}
	return left
}
