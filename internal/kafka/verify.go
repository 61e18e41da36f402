package kafka

import (
	"context"
	"fmt"
)

// verify compares the committed offset with what the log still has, and
// returns where to begin.
func (p *partition) verify(ctx context.Context) (start int64, err error) {
	committed := p.start
	first, end, err := p.bounds(ctx)
	switch {
	case err != nil:
		return committed, err
	case p.parted != "":
		return p.anew(first, p.parted)
	case committed < 0:
		return first, nil // no commit yet: everything there is will be read
	case committed < first:
		p.read = unread
		return first, p.lost(committed, first)
	case committed > end:
		return p.anew(first, fmt.Sprintf("it ends at %d, below the committed offset %d", end, committed))
	}
	return committed, nil
}

// anew begins a log again at its start, if data loss is accepted: what stands in it has not been
// read, or is known to the ledger. Where it was cut does not say which of the two, because it may have been made anew.
func (p *partition) anew(first int64, why string) (int64, error) {
	err := p.consumer.refuse(fmt.Errorf("%w: %s/%d is not the log that was read: %s", ErrDataLoss, p.topic, p.id, why))
	if err == nil {
		p.mark.from(first)
	}
	return first, err
}

// bounds are the first and the end offset of the partition. A cluster that cannot
// answer yet is asked until it does, or ctx ends: to read on without knowing is to
// lose messages without a word.
func (p *partition) bounds(ctx context.Context) (first, end int64, err error) {
	for {
		first, end, err = p.look(ctx)
		if err == nil {
			return first, end, nil
		}
		if ctx.Err() == nil {
			p.log.WarnContext(ctx, "partition not verified, asking again", "error", err)
		}
		if p.rest(ctx, joinRest) != nil {
			return 0, 0, ctx.Err()
		}
	}
}

// look asks for the bounds once.
func (p *partition) look(ctx context.Context) (first, end int64, err error) {
	err = p.feed.look(ctx, func() error {
		first, end, err = p.consumer.client.bounds(ctx, p.topic, p.id)
		return err
	})
	return first, end, err
}

// lost reports messages [from, to) that are gone.
func (p *partition) lost(from, to int64) error {
	p.consumer.observer.LostToRetention(to - from)
	return p.consumer.refuse(fmt.Errorf("%w: %s/%d, offsets %d to %d (%d messages)",
		ErrDataLoss, p.topic, p.id, from, to-1, to-from))
}

// outside finds out why the log has nothing at next, and returns where to go on;
// nobody but us looks. It is refused otherwise if the log has next after all.
func (p *partition) outside(ctx context.Context, next int64, refused error) (int64, error) {
	first, end, err := p.bounds(ctx)
	switch {
	case err != nil:
		return next, err
	case next < first:
		p.read = unread // nothing of what comes was
		return first, p.lost(next, first)
	case next > end:
		return next, &partedError{end: end}
	}
	// It was filled again meanwhile, or the bounds are an older leader's. The next fetch says which: the one
	// that leads knows whether its log is still the one that was read.
	return next, refused
}

// gap tells a hole that the log may have (compaction) from messages that retention
// took before they were read. While it cannot, nothing is read on: what comes behind the
// gap is settled and committed, and then nobody would look at it again.
func (p *partition) gap(ctx context.Context, want, got int64) error {
	first, _, err := p.look(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("ask whether offsets %d to %d are gone: %w", want, got-1, err) // and then it comes to the gap again
	case first <= want:
		return nil
	}
	return p.lost(want, min(first, got))
}

// refuse is err, unless data loss is accepted.
func (c *Consumer) refuse(err error) error {
	if c.cfg.AcceptDataLoss {
		c.log.Error("going on in spite of data loss", "error", err)
		return nil
	}
	return err
}
