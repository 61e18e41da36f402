package replay

import (
	"context"

	"golang.org/x/sync/semaphore"

	"orderconsumer/internal/order"
)

const (
	// laneMessages is how many messages of one partition are read ahead.
	laneMessages = 256
	// aheadBytes bounds what is read ahead in all partitions together, laneLeast
	// what one partition may have at least. One message always fits.
	aheadBytes = 32 << 20
	laneLeast  = 256 << 10
	// readThrough is how many unwanted messages between two wanted ones are read
	// rather than skipped: to begin reading anew costs a few requests.
	readThrough = 2000
)

// lane is one partition on its way into the merge.
type lane struct {
	topic     string
	partition int
	ranges    []Range // in the order of offsets
	queue     chan order.Message
	room      *semaphore.Weighted
	budget    int64
}

// open prepares one of n lanes.
func (l *lane) open(n int) {
	l.budget = max(aheadBytes/int64(n), laneLeast)
	l.room = semaphore.NewWeighted(l.budget)
	l.queue = make(chan order.Message, laneMessages)
}

// fill reads the lane's messages into its queue.
func (l *lane) fill(ctx context.Context, log Reader) error {
	for rest := l.ranges; len(rest) > 0; {
		run, many := runOf(rest)
		wanted := rest[:many]
		err := log.Scan(ctx, run, func(m order.Message) error {
			for len(wanted) > 0 && m.Offset >= wanted[0].To {
				wanted = wanted[1:]
			}
			if len(wanted) == 0 || m.Offset < wanted[0].From {
				return nil
			}
			return l.push(ctx, m)
		})
		if err != nil {
			return err
		}
		rest = rest[many:]
	}
	return nil
}

// runOf is the part of the log that is read in one go for the first of the
// ranges and the many-1 that follow closely.
func runOf(ranges []Range) (run Range, many int) {
	run, many = ranges[0], 1
	for many < len(ranges) && ranges[many].From-run.To <= readThrough {
		run.To = ranges[many].To
		many++
	}
	return run, many
}

func (l *lane) push(ctx context.Context, m order.Message) error {
	if err := l.room.Acquire(ctx, l.cost(&m)); err != nil {
		return err
	}
	select {
	case l.queue <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next waits for the lane's next message; ok is false at its end.
func (l *lane) next(ctx context.Context) (m order.Message, ok bool, err error) {
	select {
	case m, ok = <-l.queue:
	case <-ctx.Done():
		return m, false, ctx.Err()
	}
	if ok {
		l.room.Release(l.cost(&m))
	}
	return m, ok, nil
}

func (l *lane) cost(m *order.Message) int64 { return min(int64(Size(m)), l.budget) }

// headerOverhead is about what a header takes beside its key and value.
const headerOverhead = 10

// Size is about what a message takes in the log and in memory, in bytes.
func Size(m *order.Message) int {
	n := len(m.Key) + len(m.Value)
	for i := range m.Headers {
		n += len(m.Headers[i].Key) + len(m.Headers[i].Value) + headerOverhead
	}
	return n
}
