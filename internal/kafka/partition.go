package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/order"
)

const (
	// fetchWait is how long the broker may hold a question for which there is nothing
	// yet.
	fetchWait = 2 * time.Second
	// fetchRest is the wait after a failed fetch.
	fetchRest = 500 * time.Millisecond
	// failedEvery is how often it is written that fetching or committing goes on failing, and
	// how often what cannot be decoded is asked for.
	failedEvery = 10 * time.Second
	// leaderAfter is how long nothing may come over a connection before the leader is
	// asked for again: one that was deposed and does not know it has nothing, for ever.
	leaderAfter = time.Minute
	// closeTimeout bounds the end of what the client closes: with the broker
	// unreachable that can take minutes.
	closeTimeout = 2 * time.Second
)

// ErrDataLoss: messages between the committed offset and the log's start were
// removed before they were read, or the log is shorter than the committed
// offset. Orders may have been lost.
var ErrDataLoss = errors.New("messages were removed from the log before they were read")

// partition reads one assigned partition for as long as its generation lasts.
type partition struct {
	consumer *Consumer
	topic    string
	id       int
	start    int64
	mark     *watermark
	flow     *order.Flow
	turn     turn
	log      *slog.Logger
	broke    int64 // where an answer broke off, the last time one did
	slipped  int64 // where the client lost its place among answers, the last time it did
	rested   int64 // the message whose time was waited for without a place, the last time one was

	// begin returns when the partition may begin; begun is told that it has.
	begin func(context.Context) error
	begun func()
}

// errStopped: the flow takes no more messages.
var errStopped = errors.New("told to stop")

// run hands the partition's messages to the flow until ctx ends.
func (p *partition) run(ctx context.Context) error {
	defer p.turn.end()
	if p.turn.begin(ctx) != nil {
		return nil // told to stop
	}
	next, err := p.verify(ctx)
	var said time.Time
	for err == nil {
		next, err = p.follow(ctx, next)
		if errors.Is(err, kafkago.OffsetOutOfRange) {
			next, err = p.outside(ctx, next, err)
		}
		var over turnOver
		switch {
		case ctx.Err() != nil, errors.Is(err, errStopped):
			return nil // told to stop
		case errors.As(err, &over):
			err = p.turn.rest(ctx, over.rest)
			continue
		case err == nil, errors.Is(err, ErrDataLoss), errors.Is(err, errShorter):
			continue
		case p.slips(next, err):
			err = nil
			continue
		}
		if errors.Is(err, ErrUnreadable) {
			p.log.ErrorContext(ctx, "the partition stands still: what is next in it cannot be decoded", "offset", next, "error", err, "fix", p.passing())
			err = p.turn.rest(ctx, failedEvery)
			continue
		}
		if time.Since(said) >= failedEvery {
			p.log.WarnContext(ctx, "fetch failed, trying again", "offset", next, "error", err)
			said = time.Now()
		}
		err = p.turn.rest(ctx, fetchRest)
	}
	if ctx.Err() != nil {
		return nil // told to stop
	}
	return err
}

// slips reports whether nothing is wrong but with the client's place among answers,
// so that another connection is all that is needed, at once: a rest would hold up orders.
//
// A broker notes how far the log is committed and then reads it. What is committed in between
// comes in an answer that says that the log ends where it was asked to begin. The
// client takes that for an empty one, leaves its messages on the connection, and finds them
// where the next answer should begin (kafka-go issue 1188). On a busy topic that happens
// every few seconds. What it finds makes no sense, or, where the messages' first offset is the
// number of the question, an answer without an end. Twice at one place it is something else.
func (p *partition) slips(next int64, err error) bool {
	if !errors.Is(err, io.ErrNoProgress) && !errors.Is(err, io.ErrUnexpectedEOF) || p.slipped == next {
		return false
	}
	p.slipped = next
	return true
}

// passing says how to see what cannot be decoded, and how to go on behind it, which
// only a person may decide.
func (p *partition) passing() string {
	return fmt.Sprintf("see what stands there with kafka-dump-log.sh or another client; to leave it out stop every consumer of the group, "+
		"then: consumer group reset --group=%s --topics=%s --only-partitions=%d --to=OFFSET --execute, with the first offset behind it",
		p.consumer.cfg.Group, p.topic, p.id)
}

// follow hands over what comes over one connection from next on, until that is of no
// use any more, and returns where it has come to and why. A reader of the client
// library would not do: it waits for ever where the log has become shorter, jumps over
// what retention has taken, ends the process by a panic (see nextOf), and holds
// messages that nobody counts.
func (p *partition) follow(ctx context.Context, next int64) (int64, error) {
	r := Range{Topic: p.topic, Partition: p.id, To: math.MaxInt64}
	in := intake{endless: true, missing: p.gap, visit: func(m order.Message) error {
		p.consumer.cfg.Crash.At(crash.AfterFetch)
		return p.hand(ctx, m)
	}}
	s, err := p.consumer.client.openStream(ctx, r)
	if err != nil {
		return next, err
	}
	defer s.close()
	p.begun()
	if next == kafkago.FirstOffset {
		from, err := s.first()
		if err != nil {
			return next, err
		}
		next = from
	}
	for moved := time.Now(); err == nil && time.Since(moved) < leaderAfter; {
		from := next
		s.wait = p.turn.wait()
		next, err = s.piece(ctx, next, in)
		if next > from {
			moved = time.Now()
		}
		again := errors.Is(err, errAnswer) && p.broke == next
		if errors.Is(err, errAnswer) {
			p.broke = next
		}
		if next < s.end && (err == nil && next == from || errors.Is(err, errPanicked) || again) {
			// What the stream cannot tell, or not twice, comes in a step.
			broken := err
			r.To = s.end
			next, err = p.consumer.client.step(ctx, r, next, in)
			if broken != nil {
				return next, err
			}
		}
		if err == nil && p.turn.over(next == from) {
			return next, turnOver{}
		}
	}
	return next, err
}

// errShorter ends a generation in which a log has become shorter than what was read
// of it: a topic deleted and made anew, or the unclean election of a leader. The next
// one begins with a new watermark, after the commit has been held against the log.
var errShorter = errors.New("the log has become shorter than what was read of it")

// hand gives one message to the flow, once it is due. It fails with errStopped or
// turnOver.
func (p *partition) hand(ctx context.Context, m order.Message) error {
	if most, isTier := p.consumer.cfg.Delays[p.topic]; isTier {
		// No longer than the tier's own delay: whoever writes the message writes
		// its headers and its time too, and must not hold up what is behind it.
		rest := min(time.Until(order.ParseDelivery(&m).NotBefore), most)
		if m.Offset != p.rested && !p.turn.lasts(rest) {
			p.rested = m.Offset
			return turnOver{rest: rest}
		}
		if m.Offset != p.rested && sleep(ctx, rest) != nil {
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

// closeSoon waits for closer, but no longer than closeTimeout.
func closeSoon(closer func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = closer() // nothing is lost with a reader's connection
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
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
