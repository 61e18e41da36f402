package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// cacheMetrics is what the stock's cache reports. Metrics implements its
// observer.
type cacheMetrics struct {
	lookups  *children[string, prometheus.Counter]
	rebuilds *children[string, prometheus.Counter]
	goods    prometheus.Counter
	seconds  prometheus.Histogram
	refresh  prometheus.Counter
	lost     prometheus.Counter
	lag      prometheus.Histogram
	up       prometheus.Gauge
}

// maxLookups bounds the ways in which a question is answered; there are six.
const maxLookups = 16

func newCacheMetrics(r registrar) cacheMetrics {
	m := cacheMetrics{
		lookups: counters(r.counterVec("order_stock_lookups_total",
			"Questions for levels, by how they were answered.", "result"), maxLookups,
			"hit", "unknown", "stale", "rebuilt", "database", "refused"),
		rebuilds: counters(r.counterVec("order_stock_cache_rebuilds_total",
			"Readings of the database for the cache, each for many goods, by how they ended.", "result"), maxReasons,
			"read", "failed"),
		goods: r.counter("order_stock_cache_rebuilt_goods_total",
			"Goods that the database was read for."),
		seconds: r.histogram("order_stock_cache_rebuild_seconds",
			"How long a reading of the database took.", lockBuckets),
		refresh: r.counter("order_stock_cache_refreshed_goods_total",
			"Levels of commits that were written over the entries there were."),
		lost: r.counter("order_stock_cache_lost_goods_total",
			"Levels of commits that were not remembered until Redis was back; their entries end by themselves."),
		lag: r.histogram("order_stock_cache_refresh_lag_seconds",
			"From a commit to the refresh of the entries it touched.", lockBuckets),
		up: r.gauge("order_stock_cache_up", "1 while the cache's Redis answers, or was not asked yet."),
	}
	m.up.Set(1)
	return m
}

// CacheLookups counts n questions that were answered in one way.
func (m *cacheMetrics) CacheLookups(result string, n int) { m.lookups.get(result).Add(float64(n)) }

// CacheRebuilt counts one reading of the database for the cache.
func (m *cacheMetrics) CacheRebuilt(goods int, took time.Duration, err error) {
	result := "read"
	if err != nil {
		result = "failed"
	}
	m.rebuilds.get(result).Inc()
	m.goods.Add(float64(goods))
	m.seconds.Observe(took.Seconds())
}

// CacheRefreshed counts levels of commits that reached the cache.
func (m *cacheMetrics) CacheRefreshed(goods int, lag time.Duration) {
	m.refresh.Add(float64(goods))
	m.lag.Observe(lag.Seconds())
}

// CacheRefreshLost counts levels of commits that did not.
func (m *cacheMetrics) CacheRefreshLost(goods int) { m.lost.Add(float64(goods)) }

// CacheStore notes whether the cache's Redis answers.
func (m *cacheMetrics) CacheStore(err error) {
	if err != nil {
		m.up.Set(0)
		return
	}
	m.up.Set(1)
}
