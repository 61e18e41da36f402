package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// exercised returns metrics that have seen one of everything.
func exercised() *Metrics {
	m := NewMetrics(MetricsConfig{Group: "shop", WorkersLimit: 2, Version: "1.2.3", Revision: "abc"})
	m.Settled(order.Settlement{Outcome: "deducted", Topic: "orders", Age: 30 * time.Millisecond, Took: 20 * time.Millisecond})
	m.Settled(order.Settlement{Outcome: "retried", Code: "goods_unknown", Tier: "5s", Topic: "orders"})
	m.Settled(order.Settlement{Outcome: "dead", Code: "not_json", Topic: "orders"})
	m.Applied(120, 20*time.Millisecond)
	m.Retried(order.CodeBusy)
	m.Ahead("right")
	m.Refused()
	m.LockWaited(time.Millisecond)
	m.LockHeld(25 * time.Millisecond)
	m.LockFailed(order.LockTimeout)
	m.InFlight(7)
	m.Busy(1)
	m.Paused(DependencyDatabase, errors.New("gone"))
	m.Consumed("orders", 3, 5)
	m.Sent("orders.results", 2, nil)
	m.Sent("orders.results", 1, context.DeadlineExceeded)
	m.Rebalanced()
	m.Assigned("orders", 4)
	m.Lag("orders", 3, 12, 2*time.Second)
	m.CommitFailed()
	m.LostToRetention(1)
	m.CacheLookups("hit", 3)
	m.CacheRebuilt(200, 3*time.Millisecond, nil)
	m.CacheRefreshed(40, 2*time.Millisecond)
	m.CacheRefreshLost(1)
	m.CacheStore(errors.New("gone"))
	m.Served("/v1/stock/{goods_id}", "GET", 200, time.Millisecond)
	m.Served("", "BREW", 404, time.Millisecond)
	m.JobBegan("audit", true)
	m.JobEnded("audit", JobDone, time.Minute)
	m.JobTrouble("audit")
	m.JobSeen("audit", false, time.Unix(1, 0))
	m.Audited(0)
	return m
}

// TestTheNamesAreThoseThatDashboardsQuery holds name, type and labels of every
// metric of ours: they are an interface, and a change of one breaks alerts.
func TestTheNamesAreThoseThatDashboardsQuery(t *testing.T) {
	t.Parallel()
	families, err := exercised().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "order_") && !strings.HasPrefix(f.GetName(), "messaging_") &&
			!strings.HasPrefix(f.GetName(), "http_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
		lines = append(lines, fmt.Sprintf("%s %s {%s}\n", f.GetName(), strings.ToLower(f.GetType().String()),
			strings.Join(slices.Sorted(maps.Keys(labels)), ", ")))
	}
	golden(t, "metrics.txt", strings.Join(lines, ""))
}

func TestTheNamesKeepPrometheusRules(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(exercised().Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What happens now and then is there from the start, with 0, and under the word
// that the flow uses: an alert on a word that never comes is silent for ever.
func TestReasonsAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	m := NewMetrics(MetricsConfig{})
	series := func() int {
		t.Helper()
		n, err := testutil.GatherAndCount(m.Gatherer(), "order_transaction_retries_total", "order_lock_failures_total")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := series()
	for _, err := range []error{stock.ErrBusy, order.ErrLockLost} {
		fate, reason := order.Classify(err)
		if fate != order.Again {
			t.Errorf("%v is not run again in place", err)
		}
		m.Retried(reason)
	}
	for _, reason := range []string{order.LockTimeout, order.LockWasLost, order.LockRedisDown, order.LockUnlock} {
		m.LockFailed(reason)
	}
	if after := series(); before != 6 || after != before {
		t.Errorf("%d series from the start, %d after each reason came once; want 6", before, after)
	}
}

func TestTheHandlerShowsWhatWasReported(t *testing.T) {
	t.Parallel()
	text := scrape(t, exercised())
	for _, line := range []string{
		`order_events_total{outcome="deducted"} 1`,
		`order_events_total{outcome="voided"} 0`, // known from the start
		`order_event_age_seconds_bucket{topic="orders",le="0.025"} 2`,
		`order_event_age_seconds_bucket{topic="orders",le="0.05"} 3`,
		`messaging_process_duration_seconds_sum{error_type="",messaging_consumer_group_name="shop",messaging_destination_name="orders",messaging_operation_name="process",messaging_system="kafka"} 0.02`,
		`messaging_process_duration_seconds_count{error_type="not_json",messaging_consumer_group_name="shop",messaging_destination_name="orders",messaging_operation_name="process",messaging_system="kafka"} 1`,
		`order_retries_total{code="goods_unknown",tier="5s"} 1`,
		`order_dead_letters_total{code="not_json"} 1`,
		`order_batch_orders_sum 120`,
		`order_transaction_seconds_sum 0.02`,
		`order_transaction_retries_total{reason="database_busy"} 1`,
		`order_transactions_ahead_total{result="right"} 1`,
		`order_transactions_ahead_total{result="wrong"} 0`,
		`order_transactions_refused_total 1`,
		`order_lock_wait_seconds_sum 0.001`,
		`order_lock_hold_seconds_sum 0.025`,
		`order_lock_failures_total{reason="timeout"} 1`,
		`order_inflight_messages 7`,
		`order_workers_busy 1`,
		`order_workers_limit 2`,
		`order_paused{dependency="database"} 1`,
		`order_paused{dependency="redis"} 0`,
		`messaging_client_consumed_messages_total{messaging_consumer_group_name="shop",messaging_destination_name="orders",messaging_destination_partition_id="3",messaging_operation_name="poll",messaging_system="kafka"} 5`,
		`messaging_client_sent_messages_total{error_type="",messaging_destination_name="orders.results",messaging_operation_name="send",messaging_system="kafka"} 2`,
		`messaging_client_sent_messages_total{error_type="timeout",messaging_destination_name="orders.results",messaging_operation_name="send",messaging_system="kafka"} 1`,
		`order_consumer_assigned_partitions{topic="orders"} 4`,
		`order_consumer_lag_messages{partition="3",topic="orders"} 12`,
		`order_consumer_lag_seconds{partition="3",topic="orders"} 2`,
		`order_consumer_rebalances_total 1`,
		`order_offset_commit_failures_total 1`,
		`order_orders_lost_to_retention_total 1`,
		`go_goroutines `,
		`process_start_time_seconds `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("the scrape has no line %q", line)
		}
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil || rec.Code != 200 {
		t.Fatalf("scrape answered %d, %v", rec.Code, err)
	}
	return string(body)
}

func TestAPauseThatEndsIsZeroAgain(t *testing.T) {
	t.Parallel()
	m := exercised()
	m.Paused(DependencyDatabase, nil)
	if text := scrape(t, m); !strings.Contains(text, "\n"+`order_paused{dependency="database"} 0`) {
		t.Error("order_paused is not back at 0")
	}
}

func TestANewGenerationForgetsTheLagsOfTheOld(t *testing.T) {
	t.Parallel()
	m := exercised()
	m.Rebalanced()
	m.Lag("orders", 1, 9, time.Second)
	text := scrape(t, m)
	if strings.Contains(text, `partition="3",topic="orders"`) {
		t.Error("the lag of partition 3 is still reported")
	}
	if !strings.Contains(text, `order_consumer_lag_messages{partition="1",topic="orders"} 9`) {
		t.Error("the lag of partition 1 is missing")
	}
}

func TestHostileLabelValuesNeitherPanicNorGrowWithoutBound(t *testing.T) {
	t.Parallel()
	m := NewMetrics(MetricsConfig{Group: "\xff", Version: "\xff"})
	m.Settled(order.Settlement{Outcome: "dead", Code: "\xff\xfe", Topic: ""})
	m.Settled(order.Settlement{Outcome: "retried", Code: "", Tier: "\xff", Age: -time.Hour})
	m.Sent("\xff", 1, titled("\xff"))
	m.Lag("\xff", -1, -5, -time.Second)
	m.LostToRetention(-1)
	const distinct = 10 * maxCodes
	for i := range distinct {
		m.Settled(order.Settlement{Outcome: fmt.Sprint("o", i), Topic: fmt.Sprint("t", i)})
		m.Settled(order.Settlement{Outcome: "dead", Code: fmt.Sprint("c", i)})
		m.Settled(order.Settlement{Outcome: "retried", Code: fmt.Sprint("c", i), Tier: fmt.Sprint("t", i)})
		m.Consumed("orders", i, 1)
		m.LockFailed(fmt.Sprint("r", i))
		m.Paused(fmt.Sprint("d", i), errors.New("x"))
	}
	text := scrape(t, m)
	for name, most := range map[string]int{
		"order_events_total{":                       maxOutcomes + 1,
		"order_event_age_seconds_count{":            maxTopics + 1,
		"order_dead_letters_total{":                 maxCodes + 1,
		"messaging_process_duration_seconds_count{": 2*maxTopics + 1,
		"order_retries_total{":                      maxCodes + 1,
		"order_lock_failures_total{":                maxReasons + 1,
		"order_paused{":                             maxDependencies + 1,
		"messaging_client_consumed_messa":           maxPartitions + 1,
	} {
		n := strings.Count(text, "\n"+name)
		if n == 0 || n > most {
			t.Errorf("%s has %d series, want 1 to %d", name, n, most)
		}
	}
	// An event from the future is new; it takes nothing from the sum.
	if !strings.Contains(text, "\n"+`order_event_age_seconds_sum{topic="unknown"} 0`) {
		t.Error("a negative age was taken as it is")
	}
	if !strings.Contains(text, `order_retries_total{code="other",tier="other"}`) {
		t.Error("what is beyond the bound is not counted as other")
	}
}

// titled stands for a protocol error of the log's client.
type titled string

func (e titled) Error() string { return "[10] " + string(e) }
func (e titled) Title() string { return string(e) }

func TestErrorsOfTheLogAreClassed(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"":                       nil,
		"timeout":                fmt.Errorf("write: %w", context.DeadlineExceeded),
		"canceled":               fmt.Errorf("write: %w", context.Canceled),
		"message_size_too_large": fmt.Errorf("write: %w", titled("Message Size Too Large")),
		"_OTHER":                 errors.New("order 4711 of Mrs Miller"),
	} {
		if got := errorType(err); got != want {
			t.Errorf("errorType(%v) = %q, want %q", err, got, want)
		}
	}
}
