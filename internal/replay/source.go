package replay

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
)

// Source yields messages of the log, always in the same order.
type Source interface {
	// Ranges are the places of all messages it may yield. They do not change: what
	// is appended later is not among them.
	Ranges() []Range
	// Read calls visit for every message that after does not have behind it, one at
	// a time, in the order of the source. The error of visit ends it.
	Read(ctx context.Context, after Positions, visit func(*order.Message) error) error
}

// Positions is how far a source has been worked on: of each partition, by topic,
// the offset of the next message. A partition without one is at its beginning.
type Positions map[string]map[int]int64

// Pass moves the position behind a message.
func (p Positions) Pass(m *order.Message) {
	partitions := p[m.Topic]
	if partitions == nil {
		partitions = make(map[int]int64)
		p[m.Topic] = partitions
	}
	partitions[m.Partition] = max(partitions[m.Partition], m.Offset+1)
}

// Clone is a copy that does not change with p; nil of nil.
func (p Positions) Clone() Positions {
	if p == nil {
		return nil
	}
	c := make(Positions, len(p))
	for topic, partitions := range p {
		c[topic] = maps.Clone(partitions)
	}
	return c
}

// Reader reads parts of the log without joining a group.
type Reader interface {
	// Scan calls visit for every message of the range in the order of offsets. The
	// error of visit ends it. Messages that the log no longer has are an error.
	Scan(ctx context.Context, r Range, visit func(order.Message) error) error
}

// NewSource reads the ranges, which may be those of a whole topic or those of
// single messages, merged by time across partitions. Ranges must not overlap.
func NewSource(log Reader, ranges []Range) Source {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, byPlace)
	return &rangeSource{log: log, ranges: slices.DeleteFunc(sorted, func(r Range) bool { return r.Messages() == 0 })}
}

// rangeSource is the Source of ranges.
type rangeSource struct {
	log    Reader
	ranges []Range // sorted by topic, partition and offset
}

// Ranges implements Source.
func (s *rangeSource) Ranges() []Range { return slices.Clone(s.ranges) }

// Read merges the partitions: of the messages that come next in each, the oldest
// is next of all.
func (s *rangeSource) Read(ctx context.Context, after Positions, visit func(*order.Message) error) error {
	lanes := s.lanes(after)
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range lanes {
		group.Go(func() error {
			if err := l.fill(ctx, s.log); err != nil {
				return err // a closed queue would be a lane at its end, and others would overtake it
			}
			close(l.queue)
			return nil
		})
	}
	group.Go(func() error { return merge(ctx, lanes, visit) })
	return group.Wait()
}

// lanes are the partitions with what is still to be read of them.
func (s *rangeSource) lanes(after Positions) []*lane {
	var lanes []*lane
	for _, r := range s.ranges {
		r.From = max(r.From, after[r.Topic][r.Partition])
		if r.Messages() == 0 {
			continue
		}
		if last := len(lanes) - 1; last >= 0 && lanes[last].topic == r.Topic && lanes[last].partition == r.Partition {
			lanes[last].ranges = append(lanes[last].ranges, r)
			continue
		}
		lanes = append(lanes, &lane{topic: r.Topic, partition: r.Partition, ranges: []Range{r}})
	}
	for _, l := range lanes {
		l.open(len(lanes))
	}
	return lanes
}

// merge visits the messages of all lanes.
func merge(ctx context.Context, lanes []*lane, visit func(*order.Message) error) error {
	heads := make(headHeap, 0, len(lanes))
	pull := func(l *lane) error {
		m, ok, err := l.next(ctx)
		if err == nil && ok {
			heap.Push(&heads, head{message: m, lane: l})
		}
		return err
	}
	for _, l := range lanes {
		if err := pull(l); err != nil {
			return err
		}
	}
	for len(heads) > 0 {
		next, ok := heap.Pop(&heads).(head)
		if !ok {
			return errors.New("merge of partitions: a stranger in the heap")
		}
		if err := visit(&next.message); err != nil {
			return err
		}
		if err := pull(next.lane); err != nil {
			return err
		}
	}
	return nil
}

// head is the next message of a lane.
type head struct {
	message order.Message
	lane    *lane
}

// headHeap has the oldest head on top. Equal times are decided by the place, so
// that the order is the same each time.
type headHeap []head

func (h headHeap) Len() int      { return len(h) }
func (h headHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h headHeap) Less(i, j int) bool {
	a, b := &h[i].message, &h[j].message
	if !a.Time.Equal(b.Time) {
		return a.Time.Before(b.Time)
	}
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition)) < 0
}

// Push implements [heap.Interface].
func (h *headHeap) Push(x any) {
	if next, ok := x.(head); ok {
		*h = append(*h, next)
	}
}

// Pop implements [heap.Interface].
func (h *headHeap) Pop() any {
	last := len(*h) - 1
	top := (*h)[last]
	(*h)[last] = head{} // let go of its bytes
	*h = (*h)[:last]
	return top
}

// Place names a message as topic/partition@offset.
func Place(m *order.Message) string { return fmt.Sprintf("%s/%d@%d", m.Topic, m.Partition, m.Offset) }
