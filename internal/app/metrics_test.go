package app

import (
	"os"
	"strings"
	"testing"

	"orderconsumer/internal/instance"
)

// unfed are the metrics that a run has not fed by its end, where nothing went
// wrong and nobody asked for anything, by the reason.
var unfed = map[string]string{
	"http_server_request_duration_seconds":      "nobody asks the API",
	"order_consumer_lag_messages":               "is measured later",
	"order_consumer_lag_seconds":                "is measured later",
	"order_lock_failures_total":                 "nothing fails",
	"order_offset_commit_failures_total":        "nothing fails",
	"order_orders_lost_to_retention_total":      "nothing is lost",
	"order_transaction_retries_total":           "nothing fails",
	"order_transactions_ahead_total":            "no two transactions are in flight",
	"order_transactions_refused_total":          "no order comes again",
	"order_job_failing":                         "no job is due",
	"order_job_last_finished_timestamp_seconds": "no job is due",
	"order_job_run_seconds":                     "no job is due",
	"order_job_running":                         "no job is due",
	"order_job_runs_total":                      "no job is due",
	"order_job_takeovers_total":                 "no job is due",
	"order_job_trouble_total":                   "no job is due",
	"order_stock_cache_lost_goods_total":        "nothing fails",
	"order_stock_cache_rebuild_seconds":         "nobody asks for stock",
	"order_stock_cache_rebuilds_total":          "nobody asks for stock",
	"order_stock_cache_rebuilt_goods_total":     "nobody asks for stock",
	"order_stock_cache_refresh_lag_seconds":     "nobody asks for stock",
	"order_stock_cache_refreshed_goods_total":   "nobody asks for stock",
	"order_stock_lookups_total":                 "nobody asks for stock",
}

// expectFed holds the instance's own registry against the names that dashboards
// query: a metric that nothing feeds looks like a shop in which nothing happens.
func expectFed(t *testing.T, i *instance.Instance) {
	t.Helper()
	names, err := os.ReadFile("../telemetry/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	families, err := i.Metrics().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	fed := make(map[string]bool)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			// A gauge is fed by its being there: 0 is a value like every other.
			if m.GetGauge() != nil || m.GetCounter().GetValue() > 0 || m.GetHistogram().GetSampleCount() > 0 {
				fed[family.GetName()] = true
			}
		}
	}
	known := make(map[string]bool)
	for line := range strings.Lines(string(names)) {
		name, _, _ := strings.Cut(line, " ")
		known[name] = true
		if !fed[name] && unfed[name] == "" {
			t.Errorf("nothing feeds %s", name)
		}
	}
	for name := range unfed {
		if !known[name] {
			t.Errorf("there is no metric %s to be left out", name)
		}
	}
}
