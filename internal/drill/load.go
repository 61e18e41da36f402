package drill

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/proof"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

const (
	// publishMost is how many events are published at once.
	publishMost = 1000
	// publishRest is the wait after a publication that was not confirmed: the
	// brokers are away, and that is what a drill is for.
	publishRest = 200 * time.Millisecond
)

// Load is the orders of one place, and the truth about them.
type Load struct {
	place     *Place
	workload  *workload.Workload
	publisher *kafka.Publisher
	next      func() (workload.Item, bool)
	stop      func()
	delivered map[string]int64
	sent      atomic.Int64
	again     atomic.Int64
	others    []*Load // examined together with this one
}

// NewLoad makes up orders and delivers a stock that covers share of what they
// ask for, if all of them are published. It must be closed.
func (p *Place) NewLoad(ctx context.Context, cfg workload.Config, share float64) (*Load, error) {
	l, err := p.NewLateLoad(cfg)
	if err != nil {
		return nil, err
	}
	_, err = p.Ledger.Import(ctx, ledger.Import{Mode: stock.Add, Lines: l.Deliver(share)})
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("deliver the stock: %w", err)
	}
	return l, nil
}

// NewLateLoad makes up orders for goods that are not in the catalogue yet: the
// caller delivers them later.
func (p *Place) NewLateLoad(cfg workload.Config) (*Load, error) {
	made, err := workload.New(cfg)
	if err != nil {
		return nil, err
	}
	l := &Load{place: p, workload: made, publisher: p.Client.NewPublisher(nil), delivered: make(map[string]int64)}
	l.next, l.stop = iter.Pull(made.Events())
	return l, nil
}

// Deliver notes a delivery that covers share of what the orders ask for, at
// least one of each goods, and returns it for the caller to import. Zero only
// returns what was delivered.
func (l *Load) Deliver(share float64) []stock.Line {
	if share == 0 {
		lines := make([]stock.Line, 0, len(l.delivered))
		for goods, num := range l.delivered {
			lines = append(lines, stock.Line{Goods: goods, Num: num})
		}
		return lines
	}
	lines := l.workload.Expect().Stock(share)
	for _, line := range lines {
		l.delivered[line.Goods] += line.Num
	}
	return lines
}

// With has another load of the same place examined together with this one.
func (l *Load) With(other *Load) { l.others = append(l.others, other) }

// Close gives the connections back.
func (l *Load) Close() {
	l.stop()
	_ = l.publisher.Close() // what was confirmed is confirmed
}

// Sent is how many events are in the log for certain.
func (l *Load) Sent() int64 { return l.sent.Load() }

// Again is how many events had to be sent again, because the brokers did not
// confirm them; some of those are in the log twice.
func (l *Load) Again() int64 { return l.again.Load() }

// Publish sends the next n events, perSecond at the most (0: as fast as it
// goes), until ctx ends. It returns early, without an error, when the workload
// or ctx has come to its end; what has been begun is confirmed first. It is
// called by one goroutine at a time.
func (l *Load) Publish(ctx context.Context, n int, perSecond float64) error {
	pace := rate.NewLimiter(rate.Inf, publishMost)
	most := publishMost
	if perSecond > 0 {
		most = max(1, min(publishMost, int(perSecond/20))) // twenty bundles a second
		pace = rate.NewLimiter(rate.Limit(perSecond), most)
	}
	for n > 0 {
		messages := l.take(min(n, most))
		if len(messages) == 0 {
			return nil
		}
		err := l.confirm(ctx, messages)
		if err != nil {
			return err
		}
		n -= len(messages)
		if pace.WaitN(ctx, len(messages)) != nil {
			return nil //nolint:nilerr // told to stop
		}
	}
	return nil
}

func (l *Load) take(n int) []order.Message {
	messages := make([]order.Message, 0, n)
	for len(messages) < n {
		item, ok := l.next()
		if !ok {
			break
		}
		messages = append(messages, order.Message{Topic: l.place.Topics.Input, Key: item.Key, Value: item.Value})
	}
	return messages
}

// confirmPatience is how long brokers may be away.
const confirmPatience = 5 * time.Minute

// confirm publishes until everything is confirmed, also when ctx ends: half a
// bundle could not be held against the log.
func (l *Load) confirm(ctx context.Context, messages []order.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmPatience)
	defer cancel()
	total := len(messages)
	for {
		unconfirmed, err := l.publisher.Publish(ctx, messages)
		if err == nil {
			l.sent.Add(int64(total))
			return nil
		}
		messages = unconfirmed
		l.again.Add(int64(len(unconfirmed)))
		select {
		case <-time.After(publishRest):
		case <-ctx.Done():
			return fmt.Errorf("publish orders: %w", err)
		}
	}
}

// Examine holds everything that was published against everything there is. The
// consumers must have stopped.
func (l *Load) Examine(ctx context.Context) (*proof.Report, error) {
	p := l.place
	c := proof.Case{Client: p.Client, Ledger: p.Ledger, Group: p.Group, Topics: p.Topics, Delivered: make(map[string]int64)}
	for _, load := range append([]*Load{l}, l.others...) {
		c.Loads = append(c.Loads, proof.Load{Workload: load.workload, Sent: int(load.sent.Load())})
		for goods, num := range load.delivered {
			c.Delivered[goods] += num
		}
	}
	return proof.Examine(ctx, c)
}
