package bench

import (
	"context"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
	"orderconsumer/internal/workload"
)

func TestStopwatchKeepsWhatArrivedAfterItWasOpened(t *testing.T) {
	t.Parallel()
	w := newStopwatch("orders")
	w.settled(order.Settlement{Topic: "orders", Age: time.Millisecond}) // not opened yet
	now := time.Now()
	w.open(now.Add(-time.Second))
	w.settled(order.Settlement{Topic: "orders", Age: 2 * time.Second}) // arrived before
	w.settled(order.Settlement{Topic: "retry", Age: time.Millisecond})
	for _, age := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond} {
		w.settled(order.Settlement{Topic: "orders", Age: age})
	}
	a := w.answers()
	const exact = 100 * time.Microsecond // three digits
	if a.Count != 3 || (a.P50-20*time.Millisecond).Abs() > exact || (a.Max-30*time.Millisecond).Abs() > exact {
		t.Errorf("got %+v", a)
	}
	if a.Achieved < 1 || a.Achieved > 3 {
		t.Errorf("got %g orders a second, want 3 in a second or more", a.Achieved)
	}
}

// The times of a load must be those at which orders were due, not those at
// which the log had room for them.
func TestGeneratedOrdersCarryTheTimeAtWhichTheyWereDue(t *testing.T) {
	t.Parallel()
	servers := testkit.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	client := kafka.Connect(kafka.Config{Brokers: servers.Brokers})
	t.Cleanup(client.Close)
	topic := testkit.Unique("generated")
	_, err := client.EnsureTopics(ctx, []kafka.TopicSpec{{Name: topic, Partitions: 2, Replication: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.DeleteTopics(context.WithoutCancel(ctx), []string{topic}); err != nil {
			t.Error(err)
		}
	})
	const orders, rate = 2000, 1000
	// The load began a minute ago and is as late as can be.
	start := time.Now().Add(-time.Minute)
	spec := Spec{
		Way: WayGenerate, Topic: topic,
		Servers: Servers{Kafka: settings.Kafka{Brokers: servers.Brokers}},
		Load:    workload.Config{Orders: orders, Goods: 10, Seed: 1},
		Latency: Latency{Rate: rate, Start: start},
	}
	_, err = InProcess(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := client.Ranges(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count, last := 0, start
	err = client.Scan(ctx, ranges, func(m order.Message) error {
		mu.Lock()
		defer mu.Unlock()
		count++
		if m.Time.Before(start.Add(-time.Millisecond)) {
			t.Errorf("an order was due at %s, before the load began at %s", m.Time, start)
		}
		if m.Time.After(last) {
			last = m.Time
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// 2,000 exponential waits of a millisecond are 2 s; 10 % is four deviations.
	if took := last.Sub(start); count != orders || took < 1800*time.Millisecond || took > 2200*time.Millisecond {
		t.Errorf("got %d orders in %s, want %d in about 2s", count, last.Sub(start), orders)
	}
}
