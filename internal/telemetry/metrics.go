// Package telemetry is how the program is seen from outside: metrics, the
// logger, and what the health probes answer. It is the only importer of the
// Prometheus client. Nothing here is global; whoever builds a Metrics or a
// Health owns it.
package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds on distinct label values. Each is far above what a healthy
// installation has; reaching one is a defect, and must cost the monitoring
// system nothing.
const (
	maxOutcomes     = 16   // there are seven
	maxCodes        = 64   // codes are constants of the program
	maxTopics       = 64   // input, tiers, dead letters, results
	maxPartitions   = 4096 // of all topics together
	maxReasons      = 16
	maxDependencies = 16
)

// scrapeTimeout bounds one collection. It is under Prometheus' own default of
// ten seconds, so that the scraper gets an answer rather than a hang-up.
const scrapeTimeout = 9 * time.Second

// MetricsConfig says what a Metrics is about.
type MetricsConfig struct {
	// Group is the consumer group, a label of the messaging metrics.
	Group string
	// WorkersLimit is the number of workers there are to be busy.
	WorkersLimit int
	// Version and Revision are of the build, shown by order_build_info.
	Version, Revision string
}

// Metrics counts and times what the program does. It implements
// order.Observer, and has a method for each thing the kafka package reports.
// All methods may be called from many goroutines; none blocks for longer than
// the making of a metric that is seen for the first time.
type Metrics struct {
	registry *prometheus.Registry
	flowMetrics
	logMetrics
	cacheMetrics
	httpMetrics
	jobMetrics
}

// NewMetrics returns metrics with a registry of their own, so that two of them
// live side by side in one process (tests, the demo's second instance).
func NewMetrics(cfg MetricsConfig) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	r := registrar{m.registry}
	m.flowMetrics = newFlowMetrics(r, cfg.Group)
	m.logMetrics = newLogMetrics(r, cfg.Group)
	m.cacheMetrics = newCacheMetrics(r)
	m.httpMetrics = newHTTPMetrics(r)
	m.jobMetrics = newJobMetrics(r)
	r.gauge("order_workers_limit", "Workers there are to hold a batch.").Set(float64(cfg.WorkersLimit))
	r.gaugeVec("order_build_info", "Always 1; the labels say which build this is.",
		"version", "revision", "goversion").
		WithLabelValues(label(cfg.Version), label(cfg.Revision), runtime.Version()).Set(1)
	return m
}

// Handler serves the metrics in the format the scraper asks for. A metric that
// cannot be collected is left out rather than failing the whole scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		Registry:      m.registry,
		Timeout:       scrapeTimeout,
		// Scrapers that come while one is served share its answer, so that
		// many of them cannot pile up work.
		CoalesceGather: true,
	})
}

// Gatherer is for a second reader of the same metrics (a console, a test).
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// registrar makes metrics that are registered from birth.
type registrar struct{ prometheus.Registerer }

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.MustRegister(c)
	return c
}

func (r registrar) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func (r registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	r.MustRegister(g)
	return g
}

func (r registrar) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

func (r registrar) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	r.MustRegister(h)
	return h
}

func (r registrar) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

// counters returns the children of a vector with one label.
func counters(v *prometheus.CounterVec, limit int, expected ...string) *children[string, prometheus.Counter] {
	return newChildren(bound[string]{limit, other}, func(value string) prometheus.Counter {
		return v.WithLabelValues(label(value))
	}, expected...)
}
