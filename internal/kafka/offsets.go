package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
)

// ErrGroupActive: the group has members, and only they may commit for it.
var ErrGroupActive = errors.New("the group has members")

// OffsetsAt are, for every partition of the topic, the first offset whose
// message was appended at that moment or later. A partition without one is
// left out: the broker says -1 then, which is no offset.
func (c *Client) OffsetsAt(ctx context.Context, topic string, at time.Time) (offsets map[int]int64, err error) {
	partitions, err := c.Partitions(ctx, []string{topic})
	if err != nil {
		return nil, err
	}
	if len(partitions[topic]) == 0 {
		return nil, fmt.Errorf("offsets in %s at a time: %w", topic, kafkago.LeaderNotAvailable)
	}
	// To the broker times before 1970 are words: -1 the end, -2 the start.
	moment := max(0, at.UnixMilli())
	err = again(ctx, func() error {
		all, err := c.offsets(ctx, partitions, moment)
		if err != nil {
			return fmt.Errorf("ask for the offsets in %s at a time: %w", topic, err)
		}
		offsets = all[topic]
		return nil
	})
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(offsets, func(_ int, offset int64) bool { return offset < 0 })
	return offsets, nil
}

// SetOffsets makes the offsets the group's, by topic and partition; NoCommit
// takes a commit away. The group must have no members: the error is
// ErrGroupActive when it has, because a member would overwrite what is set here.
// Every partition is tried; the error names those that were not set.
func (c *Client) SetOffsets(ctx context.Context, group string, offsets map[string]map[int]int64) error {
	commits := make(map[string][]kafkago.OffsetCommit)
	removals := make(map[string][]int)
	for topic, partitions := range offsets {
		for _, id := range slices.Sorted(maps.Keys(partitions)) {
			if offset := partitions[id]; offset == NoCommit {
				removals[topic] = append(removals[topic], id)
			} else {
				commits[topic] = append(commits[topic], kafkago.OffsetCommit{Partition: id, Offset: offset})
			}
		}
	}
	var errs []error
	if len(commits) > 0 {
		errs = append(errs, again(ctx, func() error { return c.commitOffsets(ctx, group, noGeneration, "", commits) }))
	}
	if len(removals) > 0 {
		errs = append(errs, again(ctx, func() error { return c.removeOffsets(ctx, group, removals) }))
	}
	return errors.Join(errs...)
}

// noGeneration and no member: what a broker takes for a group that has none, and refuses for one
// that has.
const noGeneration = -1

func (c *Client) commitOffsets(ctx context.Context, group string, generation int, member string, commits map[string][]kafkago.OffsetCommit) error {
	res, err := c.admin.OffsetCommit(ctx, &kafkago.OffsetCommitRequest{
		GroupID: group, GenerationID: generation, MemberID: member, Topics: commits,
	})
	if err != nil {
		return fmt.Errorf("set offsets of group %s: %w", group, err)
	}
	var errs []error
	for topic, list := range res.Topics {
		for _, p := range list {
			if p.Error != nil {
				errs = append(errs, fmt.Errorf("set the offset of group %s in %s/%d: %w", group, topic, p.Partition, activeOr(p.Error)))
			}
		}
	}
	return errors.Join(errs...)
}

func (c *Client) removeOffsets(ctx context.Context, group string, removals map[string][]int) error {
	res, err := c.admin.OffsetDelete(ctx, &kafkago.OffsetDeleteRequest{GroupID: group, Topics: removals})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafkago.GroupIdNotFound) {
		return nil // it has committed nothing
	}
	if err != nil {
		return fmt.Errorf("remove offsets of group %s: %w", group, activeOr(err))
	}
	var errs []error
	for topic, list := range res.Topics {
		for _, p := range list {
			if p.Error != nil {
				errs = append(errs, fmt.Errorf("remove the offset of group %s in %s/%d: %w", group, topic, p.Partition, activeOr(p.Error)))
			}
		}
	}
	return errors.Join(errs...)
}

// activeOr names the refusals that mean that the group has members.
func activeOr(err error) error {
	switch {
	case errors.Is(err, kafkago.UnknownMemberId), errors.Is(err, kafkago.NonEmptyGroup),
		errors.Is(err, kafkago.RebalanceInProgress), errors.Is(err, kafkago.GroupSubscribedToTopic),
		errors.Is(err, kafkago.IllegalGeneration):
		return fmt.Errorf("%w (%w)", ErrGroupActive, err)
	default:
		return err
	}
}

const (
	// peekBytes is enough for the head of a batch; a larger first message comes
	// all the same.
	peekBytes = 64 << 10
	// peekWait is how long the broker looks for it.
	peekWait = 500 * time.Millisecond
	// peekMost is how many partitions are asked for their next message at a time.
	peekMost = 16
)

// Next are the messages that the group would read next, one for each of the
// positions that are behind; others, and those that the log lost meanwhile, are
// left out.
func (c *Client) Next(ctx context.Context, positions []Position) ([]order.Message, error) {
	found := make([]*order.Message, len(positions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(peekMost)
	for i, p := range positions {
		if p.Lag() == 0 {
			continue
		}
		group.Go(func() (err error) {
			offset := max(p.Committed, p.First)
			if p.Committed > p.End {
				offset = p.First
			}
			found[i], err = c.peek(ctx, p.Topic, p.Partition, offset)
			return err
		})
	}
	err := group.Wait()
	var messages []order.Message
	for _, m := range found {
		if m != nil {
			messages = append(messages, *m)
		}
	}
	return messages, err
}

// peek reads the first message that stands at offset or behind it; nil when
// there is none.
func (c *Client) peek(ctx context.Context, topic string, partition int, offset int64) (*order.Message, error) {
	res, err := c.admin.Fetch(ctx, &kafkago.FetchRequest{
		Topic: topic, Partition: partition, Offset: offset,
		MinBytes: 1, MaxBytes: peekBytes, MaxWait: peekWait,
	})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafkago.OffsetOutOfRange) {
		return nil, nil //nolint:nilnil // retention was faster
	}
	if err != nil {
		return nil, fmt.Errorf("read %s/%d at %d: %w", topic, partition, offset, err)
	}
	for {
		record, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil //nolint:nilnil // nothing was there
		}
		if err != nil {
			return nil, fmt.Errorf("read %s/%d at %d: %w", topic, partition, offset, err)
		}
		// A broker answers with whole batches: the first ones may be older.
		if record.Offset < offset {
			continue
		}
		m := order.Message{Topic: topic, Partition: partition, Offset: record.Offset, Time: record.Time}
		for _, h := range record.Headers {
			m.Headers = append(m.Headers, order.Header{Key: h.Key, Value: h.Value})
		}
		m.Key, err = kafkago.ReadAll(record.Key)
		if err == nil {
			m.Value, err = kafkago.ReadAll(record.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s/%d at %d: %w", topic, partition, record.Offset, err)
		}
		return &m, nil
	}
}
