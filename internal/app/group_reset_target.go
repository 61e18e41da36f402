package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
)

// resetTarget is the place a group is to read on from. Exactly one of offset,
// at, rows, and neither (start or end) says which.
type resetTarget struct {
	start, end bool
	offset     *int64
	at         time.Time
	rows       map[place]int64 // from a file
	group      string          // that the file is of; empty when it does not say
}

// target reads --to.
func (c *groupResetCommand) target(now time.Time) (resetTarget, error) {
	switch c.To {
	case "start":
		return resetTarget{start: true}, nil
	case "end":
		return resetTarget{end: true}, nil
	}
	if offset, err := strconv.ParseInt(c.To, 10, 64); err == nil && offset >= 0 {
		return resetTarget{offset: &offset}, nil
	}
	at, wrong := cli.ParseMoment(c.To, now, time.Local)
	if wrong == nil && at.After(now) {
		return resetTarget{}, cli.Usage("--to: %s is in the future (it is %s now): for what comes next say end", cli.UTC(at), cli.UTC(now))
	}
	if wrong == nil {
		return resetTarget{at: at}, nil
	}
	file, err := os.Open(c.To)
	if errors.Is(err, os.ErrNotExist) {
		return resetTarget{}, cli.Usage("--to: %q is not start, end, an offset, a time or a file: a time is %s", c.To, cli.MomentForms)
	}
	if err != nil {
		return resetTarget{}, cli.Usage("--to: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	target, err := readOffsets(file)
	if err == nil && target.group != "" && target.group != c.Group.Group {
		err = fmt.Errorf("it is of group %s, not of %s", target.group, c.Group.Group)
	}
	if err != nil {
		return resetTarget{}, cli.Usage("--to: file %s: %w", c.To, err)
	}
	return target, nil
}

// plan resolves the target for every partition that is meant.
func (c *groupResetCommand) plan(ctx context.Context, s *cli.Session, client *kafka.Client, target resetTarget) (*resetPlan, error) {
	topics, err := c.meant(ctx, s, client, target)
	if err != nil {
		return nil, err
	}
	positions, err := client.Positions(ctx, c.Group.Group, topics)
	if err != nil {
		return nil, err
	}
	positions = slices.DeleteFunc(positions, func(p kafka.Position) bool {
		return len(c.Partitions) > 0 && !slices.Contains(c.Partitions, p.Partition)
	})
	if len(positions) == 0 {
		return nil, &cli.Failure{Code: cli.ExitNothing, Err: fmt.Errorf("no partition %v in %v", c.Partitions, topics), Try: s.Name + " group describe"}
	}
	resolve, err := c.resolver(ctx, s, client, target, topics)
	if err != nil {
		return nil, err
	}
	plan := &resetPlan{Group: c.Group.Group, To: c.To}
	if !target.at.IsZero() {
		plan.To = cli.UTC(target.at)
		s.Say("%s is %s", c.To, plan.To)
	}
	for _, p := range positions {
		to, asked, err := resolve(p)
		if err != nil {
			return nil, err
		}
		if !asked {
			continue
		}
		row := newResetRow(p, to)
		plan.Again, plan.Skipped = plan.Again+row.Again, plan.Skipped+row.Skipped
		plan.Partitions = append(plan.Partitions, row)
	}
	for at := range target.rows {
		if len(c.Partitions) == 0 && !slices.ContainsFunc(positions, func(p kafka.Position) bool { return at == place{p.Topic, p.Partition} }) {
			return nil, &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("file %s names %s/%d, which does not exist", c.To, at.topic, at.partition), Try: s.Name + " group describe"}
		}
	}
	return plan, nil
}

// meant are the topics to reset.
func (c *groupResetCommand) meant(ctx context.Context, s *cli.Session, client *kafka.Client, target resetTarget) ([]string, error) {
	found, _, err := consumedTopics(ctx, client, c.Group)
	if err != nil {
		return nil, err
	}
	wanted := c.Topics
	switch {
	case slices.Equal(wanted, []string{"all"}):
		wanted = found
	case len(wanted) == 0 && target.rows != nil:
		for at := range target.rows {
			if !slices.Contains(wanted, at.topic) {
				wanted = append(wanted, at.topic)
			}
		}
		slices.Sort(wanted)
	case len(wanted) == 0:
		wanted = []string{c.Group.Topic}
	}
	for _, name := range wanted {
		if slices.Contains(found, name) {
			continue
		}
		if slices.Contains(c.Group.Topics().Consumed(), name) || len(found) == 0 {
			return nil, noTopic(client, name, s.Name)
		}
		return nil, cli.Usage("group %s does not read %s; it reads %v", c.Group.Group, name, found)
	}
	if len(wanted) == 0 {
		return nil, noTopic(client, c.Group.Topic, s.Name)
	}
	return wanted, nil
}

// resolver tells the offset that the target is in a partition; asked is false
// when it says nothing about it.
func (c *groupResetCommand) resolver(ctx context.Context, s *cli.Session, client *kafka.Client, t resetTarget, topics []string) (func(kafka.Position) (to int64, asked bool, err error), error) {
	switch {
	case t.start:
		return func(p kafka.Position) (int64, bool, error) { return p.First, true, nil }, nil
	case t.end:
		return func(p kafka.Position) (int64, bool, error) { return p.End, true, nil }, nil
	case t.offset != nil:
		return func(p kafka.Position) (int64, bool, error) { return *t.offset, true, c.within(s, p, *t.offset) }, nil
	case t.rows != nil:
		return func(p kafka.Position) (int64, bool, error) {
			offset, asked := t.rows[place{p.Topic, p.Partition}]
			if !asked {
				return 0, false, nil
			}
			return offset, true, c.within(s, p, offset)
		}, nil
	}
	at := make(map[string]map[int]int64)
	for _, topic := range topics {
		offsets, err := client.OffsetsAt(ctx, topic, t.at)
		if err != nil {
			return nil, err
		}
		at[topic] = offsets
	}
	return func(p kafka.Position) (int64, bool, error) {
		if offset, ok := at[p.Topic][p.Partition]; ok {
			return min(max(offset, p.First), p.End), true, nil
		}
		return p.End, true, nil // nothing was appended since
	}, nil
}

// within refuses an offset that the partition does not have.
func (c *groupResetCommand) within(s *cli.Session, p kafka.Position, offset int64) error {
	if offset == kafka.NoCommit || offset >= p.First && offset <= p.End {
		return nil
	}
	return &cli.Failure{
		Code: cli.ExitUsage,
		Err:  fmt.Errorf("%s/%d has no offset %d: it holds %d up to %d, and the next one gets %d", p.Topic, p.Partition, offset, p.First, p.End-1, p.End),
		Try:  s.Name + " group reset --to start, or --only-partitions with those that have it" + epochHint("to", offset),
	}
}
