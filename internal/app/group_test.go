package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
)

// running is an instance that runs in the background.
type running struct {
	*instance.Instance
	stop func()
	done chan error
}

// start runs an instance until it is stopped or the test ends.
func (s *shop) start(change ...func(*instance.Options)) *running {
	s.t.Helper()
	take, stop := context.WithCancel(s.t.Context())
	r := &running{Instance: s.open(change...), stop: stop, done: make(chan error, 1)}
	go func() { r.done <- r.Run(take, context.WithoutCancel(take)) }()
	return r
}

// end stops the instance and waits until it has left.
func (s *shop) end(r *running) {
	s.t.Helper()
	r.stop()
	err := <-r.done
	if err != nil {
		s.t.Error(err)
	}
}

// settledCounter signals when n events have been settled.
func settledCounter(n int) (option func(*instance.Options), reached chan struct{}) {
	reached = make(chan struct{})
	var mu sync.Mutex
	return func(o *instance.Options) {
		o.OnSettled = func(order.Settlement) {
			mu.Lock()
			defer mu.Unlock()
			if n--; n == 0 {
				close(reached)
			}
		}
	}, reached
}

func (s *shop) orders(from, to int, goods string) []order.Message {
	var messages []order.Message
	for n := from; n < to; n++ {
		id := fmt.Sprint("A-", n)
		messages = append(messages, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(create(id, goods, 1))})
	}
	return messages
}

func TestInstancesShareTheWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const orders = 3000
	s.stocked(map[string]int64{"apple": orders})
	s.sendMessages(s.orders(0, 1000, "apple")...)
	count, reached := settledCounter(500)
	first := s.start(count)
	<-reached
	second := s.start(count) // in the middle of the work
	s.sendMessages(s.orders(1000, 2000, "apple")...)
	third := s.start(count)
	s.sendMessages(s.orders(2000, orders, "apple")...)
	s.end(first) // one less
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	err := second.WaitSettled(ctx, func(string, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	s.end(second)
	s.end(third)
	s.expectLevels(map[string]int64{"apple": 0})
	outcomes := s.outcomes()
	if len(outcomes) != orders {
		t.Errorf("%d orders have an outcome, want %d", len(outcomes), orders)
	}
	for id, types := range outcomes {
		for _, outcome := range types { // once or more often, but always the same
			if outcome != string(stock.Deducted) {
				t.Errorf("order %s: %v", id, types)
			}
		}
	}
}

func TestStoppingSettlesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 10_000})
	s.sendMessages(s.orders(0, 2000, "apple")...)
	count, reached := settledCounter(300)
	first := s.start(count)
	<-reached
	s.end(first)
	// A clean stop leaves nothing to be done twice: the next instance meets no
	// duplicate.
	second := s.open()
	s.settle(second)
	s.expectLevels(map[string]int64{"apple": 8000})
	if n := first.Settled()["deducted"] + second.Settled()["deducted"]; n != 2000 {
		t.Errorf("deducted %d", n)
	}
	if n := second.Settled()["duplicate"]; n != 0 {
		t.Errorf("%d events were worked on twice after a clean stop", n)
	}
}

func TestMessagesRemovedBeforeTheyWereReadStopTheConsumer(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Topics.Partitions = 1 })
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 10, "apple")...)
	s.settle(s.open())
	s.sendMessages(s.orders(10, 30, "apple")...)
	s.servers.DeleteRecords(t, s.topics.Input, 0, 20)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	err := s.open().Run(ctx, ctx)
	if !errors.Is(err, kafka.ErrDataLoss) {
		t.Fatalf("run ended with %v", err)
	}
	s.expectLevels(map[string]int64{"apple": 90})
	s.settings.Member.AcceptDataLoss = true
	s.settle(s.open())
	s.expectLevels(map[string]int64{"apple": 80})
}
