package app

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/telemetry"
)

func newTestObserver(t *testing.T) *observer {
	t.Helper()
	return newObserver(telemetry.NewMetrics(telemetry.MetricsConfig{}), telemetry.NewHealth(telemetry.HealthConfig{}),
		slog.New(slog.DiscardHandler), nil)
}

func TestLagIsAsOldAsThePartitionsOwnMessage(t *testing.T) {
	t.Parallel()
	o := newTestObserver(t)
	o.Unsettled("orders", 0, time.Now().Add(-time.Hour))
	o.Unsettled("orders", 1, time.Time{})
	o.Unsettled("orders", 2, time.Now().Add(time.Hour))
	if got := o.age("orders", 0, 5); got < time.Hour || got > 2*time.Hour {
		t.Errorf("a partition whose first message is an hour old is %s behind", got)
	}
	for partition, lag := range map[int]int64{0: 0, 1: 5, 2: 5} {
		if got := o.age("orders", partition, lag); got != 0 {
			t.Errorf("partition %d with a lag of %d is %s behind", partition, lag, got)
		}
	}
	if got := o.age("orders", 3, 5); got >= 0 {
		t.Errorf("another instance's partition is told to be %s behind", got)
	}
	o.Rebalanced()
	if got := o.age("orders", 0, 5); got >= 0 {
		t.Errorf("a partition that was given up is told to be %s behind", got)
	}
}

func TestACommitLoopThatStandsStillIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newTestObserver(t)
		live := func() error { return o.health.Live().Err() }
		o.Joined(true)
		for range 10 {
			time.Sleep(time.Minute)
			o.OldestInFlight(time.Time{})
		}
		if err := live(); err != nil {
			t.Errorf("a loop that turns: %v", err)
		}
		time.Sleep(3 * time.Minute)
		if err := live(); err == nil || !strings.Contains(err.Error(), `loop "commit"`) {
			t.Errorf("a loop that stands still: %v", err)
		}
		o.Joined(false)
		if err := live(); err != nil {
			t.Errorf("between two generations there is no loop: %v", err)
		}
	})
}

func TestEveryFailureOfTheLockHasItsSentence(t *testing.T) {
	t.Parallel()
	said := map[string]string{lockFailure("never heard of"): "none"}
	for _, reason := range order.LockReasons() {
		sentence := lockFailure(reason)
		if other, taken := said[sentence]; taken {
			t.Errorf("%s and %s are told in the same words: %s", reason, other, sentence)
		}
		said[sentence] = reason
	}
}
