package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderconsumer/internal/order"
)

var _ order.Observer = (*Metrics)(nil)

// Buckets, in seconds unless said otherwise.
var (
	// processBuckets are the ones the OpenTelemetry conventions state, so that
	// dashboards made for them fit.
	processBuckets = []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	// ageBuckets reach from a quiet system's few milliseconds over the retry
	// tiers (5 s, 30 s, 5 min) to a backlog of an hour.
	ageBuckets = []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
	// lockBuckets start at half a round trip to a near Redis and end beyond
	// any sensible expiry.
	lockBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	// transactionBuckets end where a lock wait in the database times out.
	transactionBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 50}
	// batchBuckets count orders; batches hold up to a thousand by default.
	batchBuckets = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}
)

// retryLabels are the labels of order_retries_total.
type retryLabels struct{ code, tier string }

// flowMetrics is what the order package reports.
type flowMetrics struct {
	events    *children[string, prometheus.Counter]
	ages      *children[string, prometheus.Observer]
	processed *children[resultOf, prometheus.Observer]
	retries   *children[retryLabels, prometheus.Counter]
	dead      *children[string, prometheus.Counter]

	batchOrders        prometheus.Histogram
	transactionSeconds prometheus.Histogram
	transactionRetries *children[string, prometheus.Counter]

	ahead        *children[string, prometheus.Counter]
	refused      prometheus.Counter
	lockWait     prometheus.Histogram
	lockHold     prometheus.Histogram
	lockFailures *children[string, prometheus.Counter]

	inflight prometheus.Gauge
	busy     prometheus.Gauge
	paused   *children[string, prometheus.Gauge]
}

func newFlowMetrics(r registrar, group string) flowMetrics {
	group = label(group)
	ages := r.histogramVec("order_event_age_seconds",
		"From an event's append to its settlement, by the topic it was read from.", ageBuckets, "topic")
	processed := r.histogramVec("messaging_process_duration_seconds",
		"From the hand-over of a message to its settlement. error_type is why it was retried or dead-lettered, empty where it was answered.", processBuckets,
		"messaging_system", "messaging_operation_name", "messaging_consumer_group_name",
		"messaging_destination_name", "error_type")
	retries := r.counterVec("order_retries_total",
		"Events sent to a retry tier, and why.", "code", "tier")
	paused := r.gaugeVec("order_paused",
		"1 while work stands still because of this dependency.", "dependency")
	return flowMetrics{
		events: counters(r.counterVec("order_events_total",
			"Order events settled, by what they came to.", "outcome"), maxOutcomes,
			order.SettledOutcomes()...),
		ages: newChildren(bound[string]{maxTopics, other}, func(topic string) prometheus.Observer {
			return ages.WithLabelValues(label(topic))
		}),
		processed: newChildren(bound[resultOf]{maxTopics * 2, resultOf{other, other}},
			func(of resultOf) prometheus.Observer {
				return processed.WithLabelValues(systemKafka, operationProcess, group, label(of.topic), errorLabel(of.errorType))
			}),
		retries: newChildren(bound[retryLabels]{maxCodes, retryLabels{other, other}},
			func(l retryLabels) prometheus.Counter {
				return retries.WithLabelValues(label(l.code), label(l.tier))
			}),
		dead: counters(r.counterVec("order_dead_letters_total",
			"Events put among the dead letters, and why.", "code"), maxCodes),
		batchOrders: r.histogram("order_batch_orders",
			"Orders in one committed transaction.", batchBuckets),
		transactionSeconds: r.histogram("order_transaction_seconds",
			"From BEGIN to the answer of COMMIT.", transactionBuckets),
		transactionRetries: counters(r.counterVec("order_transaction_retries_total",
			"Transactions run again in place, and why.", "reason"), maxReasons,
			order.RetryReasons()...),
		ahead: counters(r.counterVec("order_transactions_ahead_total",
			"Transactions that wrote before they had the levels locked, and whether those were as expected.", "result"), maxReasons,
			"right", "wrong", "late"),
		refused: r.counter("order_transactions_refused_total",
			"Transactions that took a known order for new, were refused by its key, and were done again."),
		lockWait: r.histogram("order_lock_wait_seconds",
			"How long a batch waited for its goods.", lockBuckets),
		lockHold: r.histogram("order_lock_hold_seconds",
			"How long a batch held its goods.", lockBuckets),
		lockFailures: counters(r.counterVec("order_lock_failures_total",
			"Locks not obtained, lost, or not given back, and why.", "reason"), maxReasons,
			order.LockReasons()...),
		inflight: r.gauge("order_inflight_messages", "Messages read and not yet settled."),
		busy:     r.gauge("order_workers_busy", "Workers that hold a batch."),
		paused: newChildren(bound[string]{maxDependencies, other}, func(dependency string) prometheus.Gauge {
			return paused.WithLabelValues(label(dependency))
		}, DependencyDatabase, DependencyRedis, DependencyKafka),
	}
}

// Settled implements order.Observer. It is called for every event.
func (m *flowMetrics) Settled(s order.Settlement) {
	m.events.get(s.Outcome).Inc()
	// The log's clock and ours differ: an event from the future is new.
	m.ages.get(s.Topic).Observe(max(s.Age, 0).Seconds())
	m.processed.get(resultOf{s.Topic, s.Code}).Observe(s.Took.Seconds())
	switch s.Outcome {
	case order.SettledRetried:
		m.retries.get(retryLabels{s.Code, s.Tier}).Inc()
	case order.SettledDead:
		m.dead.get(s.Code).Inc()
	}
}

// Applied implements order.Observer.
func (m *flowMetrics) Applied(orders int, took time.Duration) {
	m.batchOrders.Observe(float64(orders))
	m.transactionSeconds.Observe(took.Seconds())
}

// Retried implements order.Observer.
func (m *flowMetrics) Retried(reason string) { m.transactionRetries.get(reason).Inc() }

// Ahead counts a transaction that wrote before it had the levels locked.
func (m *flowMetrics) Ahead(result string) { m.ahead.get(result).Inc() }

// Refused counts a transaction that took a known order for new.
func (m *flowMetrics) Refused() { m.refused.Inc() }

// LockWaited implements order.Observer.
func (m *flowMetrics) LockWaited(d time.Duration) { m.lockWait.Observe(d.Seconds()) }

// LockHeld implements order.Observer.
func (m *flowMetrics) LockHeld(d time.Duration) { m.lockHold.Observe(d.Seconds()) }

// LockFailed implements order.Observer.
func (m *flowMetrics) LockFailed(reason string) { m.lockFailures.get(reason).Inc() }

// InFlight implements order.Observer.
func (m *flowMetrics) InFlight(messages int) { m.inflight.Set(float64(messages)) }

// Busy implements order.Observer.
func (m *flowMetrics) Busy(workers int) { m.busy.Set(float64(workers)) }

// Paused implements order.Observer.
func (m *flowMetrics) Paused(dependency string, err error) {
	value := 0.0
	if err != nil {
		value = 1
	}
	m.paused.get(dependency).Set(value)
}
