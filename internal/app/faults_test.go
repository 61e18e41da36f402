package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
)

// faultyLedger stands between the flow and the real ledger and makes it fail.
type faultyLedger struct {
	order.Ledger
	before func(ctx context.Context, reqs []stock.Request) error
	after  func(err error) error
}

func (l *faultyLedger) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	if l.before != nil {
		err := l.before(ctx, reqs)
		if err != nil {
			return nil, err
		}
	}
	decisions, err := l.Ledger.Apply(ctx, reqs)
	if l.after != nil {
		err = l.after(err)
	}
	if err != nil {
		return nil, err
	}
	return decisions, nil
}

func faulty(l *faultyLedger) func(*instance.Options) {
	return func(o *instance.Options) {
		o.WrapLedger = func(inner order.Ledger) order.Ledger {
			wrapped := *l
			wrapped.Ledger = inner
			return &wrapped
		}
	}
}

func has(reqs []stock.Request, id string) bool {
	for i := range reqs {
		if reqs[i].Order == id {
			return true
		}
	}
	return false
}

// read returns everything that stands in a topic.
func (s *shop) read(topic string) []order.Message {
	s.t.Helper()
	ranges, err := s.client.Ranges(s.t.Context(), topic)
	if err != nil {
		s.t.Fatal(err)
	}
	var mu sync.Mutex
	var all []order.Message
	err = s.client.Scan(s.t.Context(), ranges, func(m order.Message) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// outcomes are the types of the outcomes of each order, in their order.
func (s *shop) outcomes() map[string][]string {
	s.t.Helper()
	found := make(map[string][]string)
	for _, m := range s.read(s.topics.Results) {
		o, err := order.DecodeOutcome(m.Value)
		if err != nil {
			s.t.Fatalf("outcome %q: %v", m.Value, err)
		}
		found[o.OrderID] = append(found[o.OrderID], strings.TrimPrefix(o.Type, "order."))
	}
	return found
}

func (s *shop) expectOutcomes(want map[string][]string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.outcomes()); diff != "" {
		s.t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func header(m order.Message, key string) string {
	value, _ := m.Header(key)
	return string(value)
}

func TestWaysToFail(t *testing.T) {
	t.Parallel()

	t.Run("stock is short: rejected with what there was, and nothing is taken", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 5, "pear": 1})
		s.send(`{"event_id":"1","type":"order.created","order_id":"A-1","items":[{"goods_id":"apple","num":2},{"goods_id":"pear","num":3}]}`)
		s.settle(s.open())
		s.expectLevels(map[string]int64{"apple": 5, "pear": 1})
		o, err := order.DecodeOutcome(s.read(s.topics.Results)[0].Value)
		if err != nil {
			t.Fatal(err)
		}
		want := []stock.Shortage{{Goods: "pear", Wanted: 3, Available: 1}}
		if diff := cmp.Diff(want, o.Shortages); diff != "" || o.Type != "order.rejected" {
			t.Errorf("%s, shortages (-want +got):\n%s", o.Type, diff)
		}
	})

	t.Run("a write that fails takes no other order with it", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 100})
		for n := range 9 {
			s.send(create(fmt.Sprint("A-", n), "apple", 1))
		}
		s.send(create("bad", "apple", 1))
		broken := errors.New("row too strange")
		i := s.open(faulty(&faultyLedger{before: func(_ context.Context, reqs []stock.Request) error {
			if has(reqs, "bad") {
				return broken
			}
			return nil
		}}))
		s.settle(i)
		s.expectLevels(map[string]int64{"apple": 91})
		expectSettled(t, i, map[string]int64{"deducted": 9, "retried": 2, "dead": 1})
		dead := s.read(s.topics.Dead)
		if len(dead) != 1 || header(dead[0], order.HeaderErrorCode) != order.CodeUnknown ||
			!strings.Contains(header(dead[0], order.HeaderErrorMessage), broken.Error()) {
			t.Errorf("dead letters %v", dead)
		}
	})

	t.Run("a transaction rolled back by the database is run again in place", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1))
		var tries atomic.Int32
		i := s.open(faulty(&faultyLedger{before: func(context.Context, []stock.Request) error {
			if tries.Add(1) < 4 {
				return fmt.Errorf("deadlock: %w", stock.ErrBusy)
			}
			return nil
		}}))
		s.settle(i)
		expectSettled(t, i, map[string]int64{"deducted": 1})
		s.expectLevels(map[string]int64{"apple": 9})
	})

	t.Run("a commit whose answer is lost is applied once", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1), create("A-2", "apple", 2))
		var tries atomic.Int32
		i := s.open(faulty(&faultyLedger{after: func(err error) error {
			if err == nil && tries.Add(1) < 3 {
				return stock.ErrUnknownCommit
			}
			return err
		}}))
		s.settle(i)
		s.expectLevels(map[string]int64{"apple": 7})
		s.expectOutcomes(map[string][]string{"A-1": {"deducted"}, "A-2": {"deducted"}})
	})

	t.Run("a panic half-way is nobody else's trouble, and a dead letter if it comes every time", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1), create("bad", "apple", 1), create("A-2", "apple", 1))
		i := s.open(faulty(&faultyLedger{before: func(_ context.Context, reqs []stock.Request) error {
			if has(reqs, "bad") {
				panic("half-way")
			}
			return nil
		}}))
		s.settle(i)
		s.expectLevels(map[string]int64{"apple": 8})
		s.expectOutcomes(map[string][]string{"A-1": {"deducted"}, "A-2": {"deducted"}, "bad": {"dead"}})
		if dead := s.read(s.topics.Dead); len(dead) != 1 || header(dead[0], order.HeaderErrorCode) != order.CodePanic {
			t.Errorf("dead letters %v", dead)
		}
	})

	t.Run("a panic that comes once costs a retry", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1))
		var tries atomic.Int32
		i := s.open(faulty(&faultyLedger{before: func(context.Context, []stock.Request) error {
			if tries.Add(1) == 1 {
				panic("half-way")
			}
			return nil
		}}))
		s.settle(i)
		expectSettled(t, i, map[string]int64{"retried": 1, "deducted": 1})
		s.expectLevels(map[string]int64{"apple": 9})
		s.expectOutcomes(map[string][]string{"A-1": {"deducted"}})
	})

	t.Run("a database that is away holds the work up and sends nothing to the retry tiers", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1), create("A-2", "apple", 1))
		var tries atomic.Int32
		i := s.open(faulty(&faultyLedger{before: func(context.Context, []stock.Request) error {
			if tries.Add(1) <= 5 {
				return fmt.Errorf("connection refused: %w", stock.ErrUnavailable)
			}
			return nil
		}}))
		s.settle(i)
		expectSettled(t, i, map[string]int64{"deducted": 2})
		for _, tier := range s.topics.Tiers {
			if n := len(s.read(tier.Topic)); n != 0 {
				t.Errorf("%d messages in %s", n, tier.Topic)
			}
		}
	})
}

func TestDeadLettersKeepTheirBytesAndSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	value := []byte("{\"order_id\":\"A-1\",\xff broken")
	s.sendMessages(order.Message{
		Topic: s.topics.Input, Key: []byte{0, 1, 0xfe}, Value: value,
		Headers: []order.Header{{Key: "shop", Value: []byte{0xff, 0}}, {Key: "shop", Value: []byte("again")}},
	})
	s.settle(s.open())
	dead := s.read(s.topics.Dead)
	if len(dead) != 1 {
		t.Fatalf("%d dead letters", len(dead))
	}
	m := dead[0]
	if string(m.Value) != string(value) || string(m.Key) != "\x00\x01\xfe" {
		t.Errorf("key %q value %q", m.Key, m.Value)
	}
	if len(m.Headers) < 2 || string(m.Headers[0].Value) != "\xff\x00" || string(m.Headers[1].Value) != "again" {
		t.Errorf("foreign headers %v", m.Headers)
	}
	if header(m, order.HeaderOriginalTopic) != s.topics.Input || header(m, order.HeaderOriginalOffset) != "0" ||
		header(m, order.HeaderErrorCode) == "" || header(m, order.HeaderErrorMessage) == "" {
		t.Errorf("provenance %v", m.Headers)
	}
}

// locked holds goods as another service with an ordinary lock would.
func (s *shop) locked(goods string) (release func()) {
	s.t.Helper()
	clients, err := lock.NewClients(s.settings.Redis.URLs, lock.ClientConfig{Timeout: testTimeout})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range clients {
		err := c.Set(s.t.Context(), s.settings.Lock.Prefix+goods, "another", 0).Err()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return sync.OnceFunc(func() {
		for _, c := range clients {
			c.Del(context.Background(), s.settings.Lock.Prefix+goods)
			_ = c.Close()
		}
	})
}

func TestTheLock(t *testing.T) {
	t.Parallel()

	t.Run("goods locked for too long go to a retry tier, the others go on", func(t *testing.T) {
		t.Parallel()
		s := newShop(t, func(s *settings.Consumer) { s.Lock.Budget = time.Second })
		s.stocked(map[string]int64{"apple": 10, "pear": 10})
		release := s.locked("apple")
		s.send(create("A-1", "apple", 1), create("A-2", "pear", 1))
		i := s.open(func(o *instance.Options) {
			o.OnSettled = func(end order.Settlement) {
				if end.Outcome == "retried" {
					release() // from now on the apple is free
				}
			}
		})
		s.settle(i)
		s.expectLevels(map[string]int64{"apple": 9, "pear": 9})
		if n := i.Settled()["retried"]; n < 1 {
			t.Errorf("settled %v: the locked order was not retried", i.Settled())
		}
	})

	t.Run("a lock that is lost half-way rolls the transaction back and it is run again", func(t *testing.T) {
		t.Parallel()
		s := newShop(t, func(s *settings.Consumer) { s.Lock.Expiry = 300 * time.Millisecond })
		s.stocked(map[string]int64{"apple": 10})
		s.send(create("A-1", "apple", 1))
		var tries atomic.Int32
		i := s.open(faulty(&faultyLedger{before: func(ctx context.Context, _ []stock.Request) error {
			if tries.Add(1) > 2 {
				return nil
			}
			s.stolen()
			<-ctx.Done() // the extension finds out
			return ctx.Err()
		}}))
		s.settle(i)
		expectSettled(t, i, map[string]int64{"deducted": 1})
		s.expectLevels(map[string]int64{"apple": 9})
	})

	for _, mode := range []string{"off", "optional"} {
		t.Run("without Redis the work goes on when the lock is "+mode, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, func(s *settings.Consumer) {
				s.Lock.Mode = mode
				s.Redis.URLs = []string{"redis://127.0.0.1:1/0"} // nobody listens there
			})
			s.stocked(map[string]int64{"apple": 10})
			s.send(create("A-1", "apple", 1))
			i := s.open()
			s.settle(i)
			expectSettled(t, i, map[string]int64{"deducted": 1})
		})
	}
}

// stolen removes every lock of the test's goods, as a Redis that restarts
// empty does.
func (s *shop) stolen() {
	clients, err := lock.NewClients(s.settings.Redis.URLs, lock.ClientConfig{Timeout: testTimeout})
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, c := range clients {
		keys, err := c.Keys(context.Background(), escapeGlob(s.settings.Lock.Prefix)+"*").Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			s.t.Error(err)
		}
		if len(keys) > 0 {
			c.Del(context.Background(), keys...)
		}
		_ = c.Close()
	}
}

func escapeGlob(s string) string {
	return strings.NewReplacer("[", `\[`, "*", `\*`, "?", `\?`).Replace(s)
}
