package order

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"orderconsumer/internal/stock"
)

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
	err := f.admit(ends)
	if err != nil {
		return err
	}
	err = f.publish(ctx, messages)
	if err != nil {
		return nil //nolint:nilerr // told to stop: the events stay unsettled and come again
	}
	now := f.deps.Now()
	for i := range ends {
		t := ends[i].task
		t.marker.Done(t.message.Offset)
		ends[i].settlement.Age = now.Sub(t.message.Time)
		f.deps.Observer.Settled(ends[i].settlement)
	}
	f.sched.finish(b)
	f.deps.Observer.Waiting(int(f.waiting.Add(-int64(len(ends)))))
	return nil
}

func (f *Flow) admit(ends []end) error {
	dead := make([]bool, len(ends))
	for i := range ends {
		dead[i] = ends[i].settlement.Outcome == settledDead
	}
	return f.breaker.admit(dead)
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
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.pauses.on("kafka", err)
		messages = unconfirmed
		err = rest(ctx, n)
		if err != nil {
			return err
		}
	}
	f.pauses.over("kafka")
	return nil
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

// Outcomes of a settlement that are no order state.
const (
	settledDuplicate = "duplicate"
	settledRetried   = "retried"
	settledDead      = "dead"
)

// endOf writes the messages that settle one task.
func (f *Flow) endOf(t *task) ([]Message, Settlement) {
	if t.failure != nil {
		return f.failed(t, t.failure)
	}
	switch d := &t.decision; d.Verdict {
	case stock.Applied, stock.Known:
		outcome := OutcomeOf(t.event, d.Record)
		s := Settlement{Outcome: string(d.Record.State)}
		if d.Verdict == stock.Known {
			s.Outcome = settledDuplicate
		}
		return []Message{f.outcome(&outcome, t)}, s
	case stock.Conflict:
		return f.failed(t, fmt.Errorf("%w: %s since %s",
			ErrConflict, d.Record.State, d.Record.DecidedAt.Format(TimeFormat)))
	case stock.UnknownGoods:
		return f.failed(t, fmt.Errorf("%w: %s", ErrGoodsUnknown, strings.Join(d.Unknown, ", ")))
	default:
		panic(fmt.Sprintf("order %s: verdict %d", t.event.OrderID, d.Verdict))
	}
}

// failed sends the event to the next retry tier, or to the dead letters when
// there is none or no use.
func (f *Flow) failed(t *task, cause error) ([]Message, Settlement) {
	fate, code := Classify(cause)
	failure := Failure{
		Code:    code,
		Message: cause.Error(),
		At:      f.deps.Now(),
		Group:   f.cfg.Group,
	}
	if fate != Dead {
		if tier, ok := f.cfg.Topics.Next(t.delivery.Attempt); ok {
			failure.NotBefore = failure.At.Add(tier.Delay)
			retry := Forward(&t.message, t.delivery, failure)
			retry.Topic = tier.Topic
			return []Message{retry}, Settlement{Outcome: settledRetried, Code: code, Tier: tier.Topic}
		}
	}
	dead := Forward(&t.message, t.delivery, failure)
	dead.Topic = f.cfg.Topics.Dead
	outcome := DeadOutcome(t.event, t.delivery, failure)
	// The dead letter stands before the outcome that speaks of it.
	return []Message{dead, f.outcome(&outcome, t)}, Settlement{Outcome: settledDead, Code: code}
}

func (f *Flow) outcome(o *Outcome, t *task) Message {
	trace, _ := t.message.Header(HeaderTraceParent)
	return o.Message(f.cfg.Topics.Results, trace)
}
