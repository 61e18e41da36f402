package audit

import (
	"context"
	"fmt"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// waiting reads what waits in the retry tiers, one after the other: what moves
// on meanwhile is met in the next one.
func (a *auditor) waiting(ctx context.Context) error {
	if len(a.tiers) > mostTiers {
		return fmt.Errorf("%d retry topics, the most is %d", len(a.tiers), mostTiers)
	}
	for i, tier := range a.tiers {
		positions, err := a.Log.Positions(ctx, a.Group, []string{tier})
		if err != nil {
			return err
		}
		var ranges []kafka.Range
		total := int64(0)
		for _, p := range positions {
			ranges = append(ranges, kafka.Range{Topic: tier, Partition: p.Partition, From: p.End - p.Lag(), To: p.End})
			total += p.Lag()
		}
		err = a.scan(ctx, ranges, total, func(m *order.Message) error {
			a.summary.Waiting[tier]++
			if c := a.cellOf(order.ParseDelivery(m).Origin); c != nil {
				c.place = uint8(firstTier + i)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dead reads the dead letters.
func (a *auditor) dead(ctx context.Context) error {
	ranges, total, oldest, err := a.since(ctx, a.Topics.Dead)
	if err != nil {
		return err
	}
	a.letters = oldest
	return a.scan(ctx, ranges, total, func(m *order.Message) error {
		a.summary.DeadLetters++
		// One that was redriven and waits is waiting, not dead.
		if c := a.cellOf(order.ParseDelivery(m).Origin); c != nil && c.place == noPlace {
			c.place = deadPlace
		}
		return nil
	})
}

// outcomes reads what the shops were told.
func (a *auditor) outcomes(ctx context.Context) error {
	ranges, total, oldest, err := a.since(ctx, a.Topics.Results)
	if err != nil {
		return err
	}
	a.answers = oldest
	return a.scan(ctx, ranges, total, func(m *order.Message) error {
		o, err := order.DecodeOutcome(m.Value)
		if err != nil {
			return &NoOutcomeError{At: stock.Origin{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}, Err: err}
		}
		a.summary.Outcomes++
		if c := a.cellOf(o.Origin); c != nil {
			c.answers |= answerBit(o.Type)
		}
		return nil
	})
}

// NoOutcomeError is about a message among the outcomes that is none.
type NoOutcomeError struct {
	At  stock.Origin
	Err error // what is wrong with it
}

// Error says where the message stands and what is wrong with it.
func (e *NoOutcomeError) Error() string {
	return fmt.Sprintf("%s/%d@%d is no outcome: does somebody else publish there: %v", e.At.Topic, e.At.Partition, e.At.Offset, e.Err)
}

// Unwrap is what is wrong with the message.
func (e *NoOutcomeError) Unwrap() error { return e.Err }

// sinceSlack is how much later the clock of the shop that has published an event
// may be than the consumer's.
const sinceSlack = time.Hour

// since are the parts of a topic in which something of the range can stand, and
// when the oldest message was appended if older ones were removed.
func (a *auditor) since(ctx context.Context, topic string) (ranges []kafka.Range, total int64, oldest time.Time, err error) {
	positions, err := a.Log.Positions(ctx, a.Group, []string{topic})
	if err != nil {
		return nil, 0, time.Time{}, err
	}
	begin := make(map[int]int64)
	if !a.Since.IsZero() {
		begin, err = a.Log.OffsetsAt(ctx, topic, a.Since.Add(-sinceSlack))
		if err != nil {
			return nil, 0, time.Time{}, err
		}
	}
	var cut []kafka.Position // partitions from which something was removed
	for _, p := range positions {
		from, ok := begin[p.Partition]
		switch {
		case a.Since.IsZero():
			from = p.First
		case !ok:
			from = p.End // nothing is as young
		}
		ranges = append(ranges, kafka.Range{Topic: topic, Partition: p.Partition, From: from, To: p.End})
		total += max(0, p.End-from)
		if p.First > 0 {
			p.Committed = p.First
			cut = append(cut, p)
		}
	}
	first, err := a.Log.Next(ctx, cut)
	for i := range first {
		if first[i].Time.After(oldest) {
			oldest = first[i].Time
		}
	}
	if err == nil && len(first) < len(cut) { // a partition of which all was removed
		oldest = a.Now()
	}
	return ranges, total, oldest, err
}

// scan reads ranges; visit is called under the lock.
func (a *auditor) scan(ctx context.Context, ranges []kafka.Range, total int64, visit func(*order.Message) error) error {
	return a.Log.Scan(ctx, ranges, func(m order.Message) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.read(1, total)
		return visit(&m)
	})
}
