package order

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"orderconsumer/internal/stock"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		fate Fate
		code string
	}{
		{"an event that cannot be read", &Malformed{Code: "schema_invalid"}, Dead, "schema_invalid"},
		{"known order with other content", ErrConflict, Dead, CodeConflict},
		{"an event from before the horizon", ErrTooOld, Dead, CodeTooOld},
		{"panic", &panicError{value: "x"}, Retry, CodePanic},
		{"a request that breaks its type", stock.ErrInvalid, Dead, CodeInvalid},
		{"goods not in the catalogue", ErrGoodsUnknown, Retry, CodeGoodsUnknown},
		{"goods locked for too long", &GoodsLockedError{Goods: "421"}, Retry, CodeGoodsLocked},
		{"lock lost", ErrLockLost, Again, CodeLockLost},
		{"deadlock", stock.ErrBusy, Again, CodeBusy},
		{"database away", stock.ErrUnavailable, Pause, "database"},
		{"answer of commit lost", stock.ErrUnknownCommit, Pause, "database"},
		{"redis away and required", ErrLockUnavailable, Pause, "redis"},
		{"brokers away", ErrPublish, Pause, "kafka"},
		{"told to stop", context.Canceled, Abandon, "stopped"},
		{"anything else", errors.New("never seen"), Retry, CodeUnknown},
		// A lost lock cancels the transaction: both are in the chain, and the
		// cancellation must not be taken for a stop.
		{"lock lost in a cancelled transaction", fmt.Errorf("%w: %w", ErrLockLost, context.Canceled), Again, CodeLockLost},
		{"lost commit in a cancelled transaction", fmt.Errorf("%w: %w", stock.ErrUnknownCommit, context.Canceled), Pause, "database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fate, code := Classify(fmt.Errorf("apply 3 orders: %w", tt.err))
			if fate != tt.fate || code != tt.code {
				t.Errorf("got fate %d code %s, want %d %s", fate, code, tt.fate, tt.code)
			}
		})
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	t.Parallel()
	last := backoff(1, 0)
	if last != backoffFirst/2 {
		t.Errorf("first wait %s", last)
	}
	for n := 2; n < 100; n++ {
		wait := backoff(n, 0)
		if wait < last || wait > backoffLast {
			t.Fatalf("wait %d is %s after %s", n, wait, last)
		}
		last = wait
	}
	if got := backoff(1000, 0.999); got < backoffLast*9/10 || got > backoffLast {
		t.Errorf("longest wait %s", got)
	}
	if first, again := backoff(7, 0.5), backoff(7, 0.5); first != again {
		t.Errorf("not a pure function: %s, then %s", first, again)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	ends := func(dead, alive int) []verdict {
		list := make([]verdict, dead+alive)
		for i := range list {
			list[i] = verdict{dead: i < dead, usable: i >= dead}
		}
		return list
	}
	cfg := BreakerConfig{Window: 100, MinDead: 10, MaxRatio: 0.5}

	t.Run("a few dead letters never stop it, whatever their share", func(t *testing.T) {
		t.Parallel()
		if err := NewBreaker(cfg).admit(ends(9, 0), 0); err != nil {
			t.Error(err)
		}
	})
	t.Run("many in a row do", func(t *testing.T) {
		t.Parallel()
		if err := NewBreaker(cfg).admit(ends(10, 0), 0); !errors.Is(err, ErrTooManyDead) {
			t.Error(err)
		}
	})
	t.Run("many among more that are well do not", func(t *testing.T) {
		t.Parallel()
		b := NewBreaker(cfg)
		for range 20 {
			if err := b.admit(ends(0, 60), 0); err != nil {
				t.Fatal(err)
			}
			if err := b.admit(ends(40, 0), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("only the newest count", func(t *testing.T) {
		t.Parallel()
		b := NewBreaker(cfg)
		if err := b.admit(ends(0, 1000), 0); err != nil {
			t.Fatal(err)
		}
		if err := b.admit(ends(60, 0), 0); !errors.Is(err, ErrTooManyDead) {
			t.Error(err)
		}
	})
	t.Run("many at first do not while more that can be used wait", func(t *testing.T) {
		t.Parallel()
		b := NewBreaker(cfg)
		if err := b.admit(ends(20, 5), 80); err != nil {
			t.Error(err)
		}
		if err := b.admit(ends(31, 0), 8000); !errors.Is(err, ErrTooManyDead) {
			t.Errorf("more than half of the window: %v", err)
		}
	})
	t.Run("those of the same batch are among what waits", func(t *testing.T) {
		t.Parallel()
		if err := NewBreaker(cfg).admit(ends(30, 70), 70); err != nil {
			t.Error(err)
		}
	})
	t.Run("what a flow has left is not forgotten", func(t *testing.T) {
		t.Parallel()
		b := NewBreaker(cfg)
		for n := range 20 { // rebalances that cut the wait for goods short
			if err := b.admit(ends(30, 0), 70); err != nil {
				t.Fatalf("flow %d: %v", n+1, err)
			}
			b.left(70)
		}
	})
	t.Run("zero switches it off", func(t *testing.T) {
		t.Parallel()
		if err := NewBreaker(BreakerConfig{Window: 100, MinDead: 1}).admit(ends(100, 0), 0); err != nil {
			t.Error(err)
		}
	})
}

func TestTopics(t *testing.T) {
	t.Parallel()
	topics := NewTopics("orders", "shop", []time.Duration{5 * time.Second, 30 * time.Second, 5 * time.Minute, 90 * time.Minute})
	want := []string{
		"orders", "orders.shop.retry.5s", "orders.shop.retry.30s", "orders.shop.retry.5m", "orders.shop.retry.1h30m",
		"orders.shop.dlq", "orders.results",
	}
	for i, name := range topics.All() {
		if name != want[i] {
			t.Errorf("topic %d is %s, want %s", i, name, want[i])
		}
	}
	for attempt, tier := range map[int]string{1: "orders.shop.retry.5s", 4: "orders.shop.retry.1h30m"} {
		if got, ok := topics.Next(attempt); !ok || got.Topic != tier {
			t.Errorf("attempt %d goes to %q", attempt, got.Topic)
		}
	}
	for _, attempt := range []int{0, -1, 5, 1000} {
		if got, ok := topics.Next(attempt); ok {
			t.Errorf("attempt %d goes to %q", attempt, got.Topic)
		}
	}
}
