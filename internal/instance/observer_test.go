package instance

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-sql-driver/mysql"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/telemetry"
	"orderconsumer/internal/testkit"
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

func TestDeadLettersAreWrittenAboutOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := newTestObserver(t)
		o.log = slog.New(slog.NewTextHandler(&log, nil))
		_, broken := order.Decode(&order.Message{Value: []byte(`{"order_id":"A-1","type":"canary"}`)})
		dead := func(id, code string, cause error) {
			o.Settled(order.Settlement{Outcome: "dead", Code: code, Cause: cause, Order: id, Origin: stock.Origin{Topic: "orders", Partition: 2, Offset: 7}})
		}
		o.Settled(order.Settlement{Outcome: "retried", Code: order.CodeGoodsUnknown, Cause: order.ErrGoodsUnknown, Order: "never"})
		dead("A-1", order.CodeSchemaInvalid, broken)
		dead("A-2", order.CodeSchemaInvalid, broken)
		dead("A-3", order.CodeSchemaInvalid, broken)
		dead("A-4", order.CodeConflict, order.ErrConflict)
		time.Sleep(pauseEvery)
		dead("A-5", order.CodeSchemaInvalid, broken)
		o.showPayloads = true
		dead("A-6", order.CodeTooOld, broken)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		want := [][]string{
			{"level=WARN", "order=A-1", "code=schema_invalid", "(masked)", "topic=orders partition=2 offset=7"},
			{"order=A-4", "code=conflict", order.ErrConflict.Error()},
			{"order=A-5", "others_since=2"},
			{"order=A-6", "canary"},
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
		}
		for i, parts := range want {
			testkit.WantParts(t, lines[i], parts...)
			if i < 3 && strings.Contains(lines[i], "canary") {
				t.Errorf("the event is repeated: %s", lines[i])
			}
		}
	})
}

func TestWhatWasNotWrittenAboutDeadLettersIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := newTestObserver(t)
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	for _, code := range []string{order.CodeTooOld, order.CodeConflict, order.CodeTooOld, order.CodeConflict, order.CodeTooOld, order.CodeGoodsUnknown} {
		o.Settled(order.Settlement{Outcome: order.SettledDead, Code: code, Cause: order.ErrConflict})
	}
	log.Reset()
	o.flushDead()
	o.flushDead() // has nothing more to say
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines:\n%s", len(lines), log.String())
	}
	testkit.WantParts(t, lines[0], "level=WARN", "code=conflict", "others_since=1")
	testkit.WantParts(t, lines[1], "code=too_old", "others_since=2")
}

func TestWhoStandsStillForAMissingRightSaysWhichAndHowToGrantIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := newTestObserver(t)
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	o.Paused(order.DependencyDatabase, fmt.Errorf("apply 3 requests: %w: insert orders 3 of 3: %w", stock.ErrUnavailable,
		&mysql.MySQLError{Number: 1142, SQLState: [5]byte{'4', '2', '0', '0', '0'},
			Message: "INSERT command denied to user 'bob'@'10.0.0.7' for table `shop`.`orders`"}))
	o.Paused("other", errors.New("connection refused"))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	testkit.WantParts(t, lines[0], "work stands still", "INSERT command denied to user 'bob'@'10.0.0.7'", `fix="GRANT INSERT ON shop.orders TO 'bob'@'%'; docs/security.md`)
	if strings.Contains(lines[1], "fix=") {
		t.Errorf("%s", lines[1])
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
