package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
)

const (
	// fetchRest is the wait after a failed fetch.
	fetchRest = 200 * time.Millisecond
	// failedEvery is how often it is written that fetching or committing goes on failing, and
	// how often what cannot be decoded is asked for.
	failedEvery = 10 * time.Second
	// leaderAfter is how long nothing may come from a broker before the leader is
	// asked for again: one that was deposed and does not know it has nothing, for ever.
	leaderAfter = time.Minute
)

// ErrDataLoss: messages between the committed offset and the log's start were
// removed before they were read, or the log is no longer the one that was read up to
// the committed offset. Orders may have been lost.
var ErrDataLoss = errors.New("messages are gone from the log, or were before they were read")

// partition reads one assigned partition for as long as its generation lasts.
type partition struct {
	consumer *Consumer
	topic    string
	id       int
	start    int64
	mark     *watermark
	flow     *order.Flow
	feed     *feed
	log      *slog.Logger
	doubt    doubt

	read   read
	parted string // why the log is not the one that was read; empty: it is

	// begin returns when the partition may begin; begun is told that it has.
	begin func(context.Context) error
	begun func()
}

// errStopped: the flow takes no more messages.
var errStopped = errors.New("told to stop")

// run hands the partition's messages to the flow until ctx ends.
func (p *partition) run(ctx context.Context) error {
	next, err := p.verify(ctx)
	var said time.Time
	for err == nil {
		next, err = p.follow(ctx, next)
		if errors.Is(err, kafkago.OffsetOutOfRange) {
			next, err = p.outside(ctx, next, err)
		}
		if parted, ok := errors.AsType[*partedError](err); ok {
			return p.part(ctx, next, parted)
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, errStopped):
			return nil //nolint:nilerr // told to stop
		case err == nil, errors.Is(err, ErrDataLoss):
			continue
		}
		if errors.Is(err, ErrUnreadable) {
			p.log.ErrorContext(ctx, "the partition stands still: what is next in it cannot be decoded", "offset", next, "error", err, "fix", p.passing())
			err = p.rest(ctx, failedEvery)
			continue
		}
		if time.Since(said) >= failedEvery {
			p.log.WarnContext(ctx, "fetch failed, trying again", "offset", next, "error", err)
			said = time.Now()
		}
		err = p.rest(ctx, fetchRest)
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // told to stop
	}
	return err
}

// passing says how to see what cannot be decoded, and how to go on behind it, which
// only a person may decide.
func (p *partition) passing() string {
	return fmt.Sprintf("see what stands there with kafka-dump-log.sh or another client; to leave it out stop every consumer of the group, "+
		"then: consumer group reset --group=%s --topics=%s --only-partitions=%d --to=OFFSET --execute, with the first offset behind it",
		p.consumer.cfg.Group, p.topic, p.id)
}

// follow hands over what comes from next on, until something is wrong, and returns where
// it has come to and why. A reader of the client library would not do: it waits for ever
// where the log has become shorter, jumps over what retention has taken, ends the process
// by a panic where compaction has left two empty batches, and holds messages that nobody counts.
func (p *partition) follow(ctx context.Context, next int64) (int64, error) {
	r := Range{Topic: p.topic, Partition: p.id, To: math.MaxInt64}
	in := intake{missing: p.gap, visit: func(m order.Message) error {
		p.consumer.cfg.Crash.At(crash.AfterFetch)
		return p.hand(ctx, m)
	}}
	p.begun()
	for {
		portion, err := p.feed.next(ctx, next, p.read.epoch)
		if err != nil {
			return next, err
		}
		next, err = portion.visit(ctx, r, next, in)
		p.read = read{next: next, epoch: portion.epochBefore(next, p.read.epoch)}
		if err != nil {
			return next, p.doubt.about(next, err)
		}
	}
}

// rest waits for d; nobody expects the partition meanwhile.
func (p *partition) rest(ctx context.Context, d time.Duration) error {
	p.feed.leave()
	return sleep(ctx, d)
}

// hand gives one message to the flow, once it is due. It fails with errStopped.
func (p *partition) hand(ctx context.Context, m order.Message) error {
	if most, isTier := p.consumer.cfg.Delays[p.topic]; isTier {
		// No longer than the tier's own delay: whoever writes the message writes
		// its headers and its time too, and must not hold up what is behind it.
		rest := min(time.Until(order.ParseDelivery(&m).NotBefore), most)
		if rest > 0 && p.rest(ctx, rest) != nil {
			return errStopped
		}
	}
	if p.mark.begin(ctx, m.Offset, time.Now(), m.Time) != nil {
		return errStopped
	}
	p.consumer.observer.Consumed(p.topic, p.id, 1)
	if p.flow.Submit(ctx, m, p.mark) != nil {
		return errStopped
	}
	return nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
