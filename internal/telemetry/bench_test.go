package telemetry

import (
	"testing"
	"time"

	"orderconsumer/internal/order"
)

// Settled is called for every event; it may cost 250 ns.
func BenchmarkSettled(b *testing.B) {
	m := NewMetrics(MetricsConfig{Group: "shop"})
	for name, s := range map[string]order.Settlement{
		"deducted": {Outcome: "deducted", Topic: "orders", Age: 30 * time.Millisecond},
		"retried":  {Outcome: "retried", Code: "goods_unknown", Tier: "30s", Topic: "orders.shop.retry.5s", Age: 5 * time.Second},
		"dead":     {Outcome: "dead", Code: "not_json", Topic: "orders", Age: time.Second},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Settled(s)
			}
		})
	}
	b.Run("in parallel", func(b *testing.B) {
		s := order.Settlement{Outcome: "deducted", Topic: "orders", Age: 30 * time.Millisecond}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.Settled(s)
			}
		})
	})
	b.Run("beyond the bound", func(b *testing.B) {
		for i := range maxCodes {
			m.Settled(order.Settlement{Outcome: "dead", Code: string(rune('A' + i)), Topic: "orders"})
		}
		s := order.Settlement{Outcome: "dead", Code: "one more", Topic: "orders"}
		for b.Loop() {
			m.Settled(s)
		}
	})
}

func BenchmarkConsumed(b *testing.B) {
	m := NewMetrics(MetricsConfig{Group: "shop"})
	b.ReportAllocs()
	for b.Loop() {
		m.Consumed("orders", 3, 1)
	}
}

func BenchmarkBeat(b *testing.B) {
	l := NewHealth(HealthConfig{}).Loop("poll")
	b.ReportAllocs()
	for b.Loop() {
		l.Beat()
	}
}
