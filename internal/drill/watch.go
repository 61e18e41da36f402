package drill

import (
	"context"
	"fmt"
	"time"
)

// poll is how often the brokers are asked how things stand.
const poll = 50 * time.Millisecond

// AwaitMembers returns when the group has n members and is at rest, so that
// each of them has its share of the work.
func (p *Place) AwaitMembers(ctx context.Context, n int) error {
	var last error
	for {
		group, err := p.Client.DescribeGroup(ctx, p.Group)
		if err == nil && len(group.Members) == n && group.State == "Stable" {
			return nil
		}
		last = err
		if err == nil {
			last = fmt.Errorf("it is %s with %d", group.State, len(group.Members))
		}
		if !rest(ctx, poll) {
			return fmt.Errorf("wait for group %s to have %d members: %w", p.Group, n, last)
		}
	}
}

// AwaitLeft returns when no more than n messages are left to be settled, in the
// input and in the retry tiers. progress is told how many are; it may be nil.
func (p *Place) AwaitLeft(ctx context.Context, n int64, progress func(left int64)) error {
	left := int64(-1)
	for {
		now, err := p.Left(ctx)
		if err == nil {
			left = now
			if left <= n {
				return nil
			}
			if progress != nil {
				progress(left)
			}
		}
		if !rest(ctx, poll) {
			return fmt.Errorf("wait until at most %d messages are left, %d are: %w", n, left, ctx.Err())
		}
	}
}

// Left is how many messages are to be settled, in the input and in the retry
// tiers.
func (p *Place) Left(ctx context.Context) (int64, error) {
	positions, err := p.Client.Positions(ctx, p.Group, p.Topics.Consumed())
	if err != nil {
		return 0, err
	}
	left := int64(0)
	for _, position := range positions {
		left += position.Lag()
	}
	return left, nil
}

// Outcomes is how many outcomes have been published.
func (p *Place) Outcomes(ctx context.Context) (int64, error) {
	ranges, err := p.Client.Ranges(ctx, p.Topics.Results)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, r := range ranges {
		n += r.Messages()
	}
	return n, nil
}

// Mark is how far everything had come in every partition of the input at one
// moment: what had been published, and what the group had committed.
type Mark struct {
	At time.Time
	// Death says that At is when a consumer died.
	Death bool

	ends, committed map[int]int64
}

// markPatience bounds the wait for brokers of which some are away.
const markPatience = 30 * time.Second

// Mark marks now, or as soon as the brokers answer.
func (p *Place) Mark(ctx context.Context) (Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, markPatience)
	defer cancel()
	m := Mark{At: time.Now(), ends: make(map[int]int64), committed: make(map[int]int64)}
	for {
		positions, err := p.Client.Positions(ctx, p.Group, []string{p.Topics.Input})
		if err != nil && rest(ctx, poll) {
			continue
		}
		for _, position := range positions {
			m.ends[position.Partition], m.committed[position.Partition] = position.End, position.Committed
		}
		return m, err
	}
}

// MarkDeath marks the moment at which SIGKILL has ended c, and fails if anything
// else did. The dead one's last commit is behind the mark, so whoever commits
// more in its partitions has taken them over.
func (p *Place) MarkDeath(ctx context.Context, c *Consumer) (Mark, error) {
	err := c.AwaitDeath(ctx)
	if err != nil {
		return Mark{}, err
	}
	m, err := p.Mark(ctx)
	m.At, m.Death = c.end, true
	return m, err
}

// GoneOn is how long after a mark the partitions went on: that of which it took
// longest.
type GoneOn struct {
	// First is until more was settled than at the mark. It says something only if
	// those who had the partitions could settle nothing after it.
	First time.Duration
	// Past is until something was settled that was published after the mark: what
	// had piled up meanwhile was worked off by then, and nobody is waited for any
	// more.
	Past time.Duration
}

// AwaitPast returns when every partition has settled something that was
// published after the mark. Something has to be published to every partition
// meanwhile.
func (p *Place) AwaitPast(ctx context.Context, m Mark) (on GoneOn, err error) {
	for {
		positions, err := p.Client.Positions(ctx, p.Group, []string{p.Topics.Input})
		took, still, behind := time.Since(m.At), 0, 0
		for _, position := range positions {
			if position.Committed <= m.committed[position.Partition] {
				still++
			}
			if position.Committed <= m.ends[position.Partition] {
				behind++
			}
		}
		if err == nil && len(positions) > 0 {
			if still == 0 && on.First == 0 {
				on.First = took
			}
			if behind == 0 {
				on.Past = took
				return on, nil
			}
		}
		if !rest(ctx, poll) {
			return on, fmt.Errorf("wait for %d partitions to go on: %w", behind, ctx.Err())
		}
	}
}

// AwaitOutcome returns, when an outcome more is published than before, how long
// after since that was.
func (p *Place) AwaitOutcome(ctx context.Context, before int64, since time.Time) (time.Duration, error) {
	for {
		n, err := p.Outcomes(ctx)
		if err == nil && n > before {
			return time.Since(since), nil
		}
		if !rest(ctx, poll/2) {
			return 0, fmt.Errorf("wait for the next outcome after %d: %w", before, ctx.Err())
		}
	}
}

// rest reports false when ctx ends first.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
