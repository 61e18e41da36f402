package order

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
)

// ErrTooLarge is wrapped, besides ErrPublish, by the error of a publication in
// which at least one message is larger than its topic takes.
var ErrTooLarge = errors.New("message too large for its topic")

// end is how one event is settled: the messages that say so, and what the
// observer is told.
type end struct {
	task       *task
	settlement Settlement
}

// settleAll publishes the outcomes of batches until there are no more.
func (f *Flow) settleAll(ctx context.Context) error {
	for {
		select {
		case b, more := <-f.settling:
			if !more {
				return nil
			}
			err := f.settle(ctx, b)
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// settle publishes what became of each task, and only when the log has
// confirmed it says that they are done: an offset committed before its dead
// letter is confirmed is an order lost.
func (f *Flow) settle(ctx context.Context, b *batch) error {
	ends, messages := f.ends(b)
	usable, err := f.admit(ends)
	if err != nil {
		return err
	}
	err = f.publish(ctx, messages)
	if err != nil {
		return nil //nolint:nilerr // told to stop: the events stay unsettled and come again
	}
	f.deps.Crash.At(crash.AfterPublish)
	now := f.deps.Now()
	for i := range ends {
		t := ends[i].task
		t.marker.Done(t.message.Offset)
		ends[i].settlement.Age = now.Sub(t.message.Time)
		ends[i].settlement.Took = time.Since(t.since)
		f.deps.Observer.Settled(ends[i].settlement)
	}
	f.sched.finish(b)
	f.usable.Add(-usable)
	f.deps.Observer.InFlight(int(f.inFlight.Add(-int64(len(ends)))))
	return nil
}

// admit asks the breaker about the ends of a batch, and says how many of its events can
// be used. Those of the batch that were abandoned have no end and count among what waits:
// otherwise a batch whose wait for its goods a rebalance has cut short would be all dead
// letters, which are not abandoned.
func (f *Flow) admit(ends []end) (usable int64, err error) {
	verdicts := make([]verdict, len(ends))
	for i := range ends {
		verdicts[i] = verdict{dead: ends[i].settlement.Outcome == SettledDead, usable: ends[i].task.fault == nil}
		if verdicts[i].usable {
			usable++
		}
	}
	return usable, f.deps.Breaker.admit(verdicts, int(f.usable.Load()))
}

// publish goes on until every message is confirmed or ctx ends. A message may
// be appended twice; outcomes, retries and dead letters are recognisable by
// their ids.
func (f *Flow) publish(ctx context.Context, messages []Message) error {
	for n := 1; len(messages) > 0; n++ {
		unconfirmed, err := f.deps.Publisher.Publish(ctx, messages)
		if err == nil {
			break
		}
		if errors.Is(err, ErrTooLarge) {
			unconfirmed, err = f.publishApart(ctx, unconfirmed)
			if err == nil {
				break
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.pauses.on(DependencyKafka, err)
		messages = unconfirmed
		err = rest(ctx, n)
		if err != nil {
			return err
		}
	}
	f.pauses.lift(DependencyKafka)
	return nil
}

// publishApart publishes one message at a time, after some of them were found
// to be too large: that shows which. Copies of events that are refused even
// then are made smaller, which keeps one of them from holding up its partition
// for ever. It returns what is not confirmed, and why.
func (f *Flow) publishApart(ctx context.Context, messages []Message) (unconfirmed []Message, err error) {
	for i := range messages {
		left, e := f.deps.Publisher.Publish(ctx, messages[i:i+1])
		if errors.Is(e, ErrTooLarge) {
			if smaller := f.smaller(&messages[i]); smaller != nil {
				left, e = f.deps.Publisher.Publish(ctx, smaller)
			}
		}
		unconfirmed = append(unconfirmed, left...)
		switch {
		case e == nil:
		case errors.Is(e, ErrTooLarge):
			err = e // the others may still fit
		default:
			return append(unconfirmed, messages[i+1:]...), e
		}
	}
	return unconfirmed, err
}

// smaller is what is published instead of a retry or dead letter that the log
// refuses for its size: the beginning of it, always as a dead letter, because
// half an event is not to be tried again. It is nil for what cannot be made
// smaller. The settlement of a retry was counted as such and stays it.
func (f *Flow) smaller(m *Message) []Message {
	if m.Topic == f.cfg.Topics.Results || m.size() <= refusedBytes {
		return nil
	}
	failure := Failure{
		Code:    CodeTooLarge,
		Message: fmt.Sprintf("%v: %d bytes to %s", ErrTooLarge, m.size(), m.Topic),
		At:      f.deps.Now(),
		Group:   f.cfg.Group,
	}
	d := ParseDelivery(m)
	if m.Topic == f.cfg.Topics.Dead { // its outcome is published with it
		dead := forwardPart(m, d, failure, refusedBytes)
		dead.Topic = f.cfg.Topics.Dead
		return []Message{dead}
	}
	d.Attempt = max(d.Attempt-1, 1) // the next one will not be
	dead := forwardPart(m, d, failure, refusedBytes)
	dead.Topic = f.cfg.Topics.Dead
	event, _ := Decode(m)
	outcome := DeadOutcome(event, d, failure)
	trace, _ := m.Header(HeaderTraceParent)
	return []Message{dead, outcome.Message(f.cfg.Topics.Results, trace)}
}

// ends finds the end of every task of the batch. Abandoned tasks have none.
func (f *Flow) ends(b *batch) ([]end, []Message) {
	ends := make([]end, 0, len(b.tasks))
	messages := make([]Message, 0, len(b.tasks)+8)
	for _, t := range b.tasks {
		if t.failure != nil {
			if fate, _ := Classify(t.failure); fate == Abandon {
				continue
			}
		}
		more, settlement := f.endSafely(t)
		messages = append(messages, more...)
		settlement.Topic = t.message.Topic
		ends = append(ends, end{task: t, settlement: settlement})
	}
	return ends, messages
}

// endSafely is endOf with a net: a panic while an outcome is written must not
// end the process, which would read the same event again and end again.
func (f *Flow) endSafely(t *task) (messages []Message, s Settlement) {
	defer func() {
		if value := recover(); value != nil {
			messages, s = f.failed(t, &panicError{value: value, stack: debug.Stack()})
		}
	}()
	return f.endOf(t)
}

// endOf writes the messages that settle one task.
func (f *Flow) endOf(t *task) ([]Message, Settlement) {
	if t.failure != nil {
		return f.failed(t, t.failure)
	}
	switch d := t.decision; d.Verdict {
	case stock.Applied, stock.Known:
		outcome := OutcomeOf(t.event, d.Record)
		s := Settlement{Outcome: string(d.Record.State)}
		if d.Verdict == stock.Known {
			s.Outcome = SettledDuplicate
		}
		return []Message{f.outcome(&outcome, t)}, s
	case stock.Conflict:
		since := d.Record.DecidedAt
		if d.Record.State == stock.Released {
			since = d.Record.ReleasedAt
		}
		return f.failed(t, fmt.Errorf("%w: %s since %s", ErrConflict, d.Record.State, since.Format(TimeFormat)))
	case stock.UnknownGoods:
		return f.failed(t, fmt.Errorf("%w: %s", ErrGoodsUnknown, strings.Join(d.Unknown, ", ")))
	default:
		panic(fmt.Sprintf("order %s: verdict %d", t.event.OrderID, d.Verdict))
	}
}

// tierFor is the tier for an event whose attempt has failed. One whose rows
// somebody else holds goes through the last tier for as long as that lasts: nothing
// is wrong with the order, and a COMMIT of it that hangs in the server may be what
// holds them, so that a dead letter could be an order that is deducted. (Without any
// tier its worker waits for them, see tries.go.)
func (f *Flow) tierFor(attempt int, cause error) (Tier, bool) {
	tier, ok := f.cfg.Topics.Next(attempt)
	if tiers := f.cfg.Topics.Tiers; !ok && len(tiers) > 0 && errors.Is(cause, stock.ErrRowsLocked) {
		return tiers[len(tiers)-1], true
	}
	return tier, ok
}

// failed sends the event to a retry tier, or to the dead letters when there is
// none or no use. An event too large to be copied whole is not tried again: a
// tier could only hand on the beginning of it.
func (f *Flow) failed(t *task, cause error) ([]Message, Settlement) {
	fate, code := Classify(cause)
	failure := Failure{
		Code:    code,
		Message: cause.Error(),
		At:      f.deps.Now(),
		Group:   f.cfg.Group,
	}
	if fate != Dead {
		if tier, ok := f.tierFor(t.delivery.Attempt, cause); ok {
			failure.NotBefore = failure.At.Add(tier.Delay)
			retry := Forward(&t.message, t.delivery, failure)
			retry.Topic = tier.Topic
			if retry.size() <= MaxForwardBytes {
				return []Message{retry}, Settlement{Outcome: SettledRetried, Code: code, Cause: cause, Tier: tier.Topic}
			}
			failure.NotBefore = time.Time{}
			failure.Code = CodeTooLarge
			failure.Message = fmt.Sprintf("too large to be tried again (%d bytes) after %s: %v", retry.size(), code, cause)
		}
	}
	dead := Forward(&t.message, t.delivery, failure)
	if dead.size() > MaxForwardBytes {
		dead = forwardPart(&t.message, t.delivery, failure, MaxForwardBytes)
	}
	dead.Topic = f.cfg.Topics.Dead
	outcome := DeadOutcome(t.event, t.delivery, failure)
	// The dead letter stands before the outcome that speaks of it.
	return []Message{dead, f.outcome(&outcome, t)}, Settlement{Outcome: SettledDead, Code: failure.Code, Cause: cause,
		Order: t.event.OrderID, Origin: t.delivery.Origin}
}

func (f *Flow) outcome(o *Outcome, t *task) Message {
	trace, _ := t.message.Header(HeaderTraceParent)
	return o.Message(f.cfg.Topics.Results, trace)
}
