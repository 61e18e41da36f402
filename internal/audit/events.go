package audit

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/semaphore"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

const (
	// chunkEvents and chunkBytes bound what is held of one partition: one question
	// to the database for each chunk.
	chunkEvents = 2000
	chunkBytes  = 4 << 20
	// questions is how many of them are asked at a time; more do not make one
	// database faster.
	questions = 4
)

// chunk is some events of one partition.
type chunk struct {
	sights []sight
	times  []order.Message // their messages without key and value, for their times
	bytes  int
}

// events reads the range and gives every event of it its class.
func (a *auditor) events(ctx context.Context) error {
	total := int64(0)
	chunks := make(map[int]*chunk)
	for _, r := range a.Range {
		total += r.Messages()
		chunks[r.Partition] = &chunk{}
	}
	asking := semaphore.NewWeighted(questions)
	flush := func(c *chunk) error {
		if err := asking.Acquire(ctx, 1); err != nil {
			return err
		}
		defer asking.Release(1)
		err := a.settle(ctx, c, total)
		*c = chunk{sights: c.sights[:0], times: c.times[:0]}
		return err
	}
	err := a.Log.Scan(ctx, a.Range, func(m order.Message) error {
		c := chunks[m.Partition] // one goroutine for each partition
		c.add(a, &m)
		if len(c.sights) < chunkEvents && c.bytes < chunkBytes {
			return nil
		}
		return flush(c)
	})
	for _, c := range chunks {
		if err == nil {
			err = flush(c)
		}
	}
	return err
}

// add takes a message into the chunk.
func (c *chunk) add(a *auditor, m *order.Message) {
	s := sight{at: stock.Origin{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset}}
	s.event, s.fault = order.Decode(m)
	s.old = a.Horizon > 0 && a.older(m, &s.event)
	c.bytes += len(m.Key) + len(m.Value)
	c.sights = append(c.sights, s)
	c.times = append(c.times, order.Message{Time: m.Time, Headers: m.Headers, Topic: m.Topic, Partition: m.Partition, Offset: m.Offset})
}

// settle asks the ledger about the events of a chunk and counts them.
func (a *auditor) settle(ctx context.Context, c *chunk, total int64) error {
	var orders []string
	for i := range c.sights {
		s := &c.sights[i]
		if s.fault == nil && s.at.Offset < a.sheets[s.at.Partition].settled {
			orders = append(orders, s.event.OrderID)
		}
	}
	slices.Sort(orders)
	records, err := a.Ledger.Records(ctx, slices.Compact(orders))
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read(int64(len(c.sights)), total)
	for i := range c.sights {
		s := &c.sights[i]
		a.summary.Events++
		a.sheets[s.at.Partition].saw(s.at.Offset, c.times[i].Time)
		if s.at.Offset >= a.sheets[s.at.Partition].settled {
			a.summary.ByClass[InFlight]++
			continue
		}
		if s.fault == nil {
			s.record, s.known = records[s.event.OrderID]
		}
		a.count(s, &c.times[i])
	}
	return nil
}

// count gives one settled event its class, and looks whether it was answered.
func (a *auditor) count(s *sight, m *order.Message) {
	// An event that was published again names where it stood first: its copies
	// and its outcomes do, too.
	origin := order.ParseDelivery(m).Origin
	if c := a.cellOf(origin); c != nil {
		s.place, s.answers = c.place, c.answers
	}
	s.lettered = before(m, a.letters)
	class, finding := s.judge()
	a.summary.ByClass[class]++
	if class == Applied {
		a.summary.Applied[s.record.State]++
	}
	if class == Off {
		a.find(finding)
	}
	a.remember(s, class)
	if s.fault == nil {
		a.cellOf(s.at).order = shortHash(s.event.OrderID)
	}
	if origin == s.at && s.confirmed() { // a copy has the outcomes of another place
		a.cellOf(s.at).answers |= confirmed
	}
	wanted := s.answerWanted(class)
	if wanted == 0 {
		return
	}
	// An outcome names the event that made its order known.
	about := origin
	if class != Dead {
		about = s.record.Origin
	}
	c := a.cellOf(about)
	if before(m, a.answers) || c == nil {
		a.summary.Unasked++
		return
	}
	if c.answers&wanted == 0 {
		a.find(Finding{Rule: RuleUnanswered, Order: s.event.OrderID, At: s.at, Mend: MendReplay,
			Detail: fmt.Sprintf("%s, but no outcome says so", what(class, s))})
	}
}

func what(class Class, s *sight) string {
	if class == Dead {
		return "among the dead letters"
	}
	return "the order is " + string(s.record.State)
}

// All is the range of a whole topic, between the bounds of its partitions.
func All(positions []kafka.Position) []kafka.Range {
	var ranges []kafka.Range
	for _, p := range positions {
		ranges = append(ranges, kafka.Range{Topic: p.Topic, Partition: p.Partition, From: p.First, To: p.End})
	}
	return ranges
}
