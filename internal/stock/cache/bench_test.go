package cache_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
	cacheredis "orderconsumer/internal/stock/cache/redis"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/telemetry"
	"orderconsumer/internal/testkit"
)

// BenchmarkHit is what it costs to answer from Redis when many ask at once.
func BenchmarkHit(b *testing.B) {
	servers := testkit.Start(b)
	l := servers.OpenLedger(b)
	goods := names("goods-", 1000)
	lines := make([]stock.Line, len(goods))
	for i, id := range goods {
		lines[i] = stock.Line{Goods: id, Num: 7}
	}
	if _, err := l.Import(b.Context(), ledger.Import{Mode: stock.Set, Lines: lines}); err != nil {
		b.Fatal(err)
	}
	store, err := cacheredis.Open(cacheredis.Config{URL: servers.RedisURLs[0], Prefix: testkit.Unique("bench") + "{level}:", Stale: longTTL})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	c, err := cache.New(cache.Config{TTL: longTTL}, cache.Deps{
		Store: store, Source: l, Observer: telemetry.NewMetrics(telemetry.MetricsConfig{}),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ask := func(ctx context.Context) {
		levels, _, err := c.Levels(ctx, []string{goods[rand.IntN(len(goods))]})
		if err != nil || len(levels) != 1 {
			b.Errorf("%d levels, %v", len(levels), err)
		}
	}
	if _, _, err := c.Levels(b.Context(), goods); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32) // connections for each processor
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ask(b.Context())
		}
	})
}
