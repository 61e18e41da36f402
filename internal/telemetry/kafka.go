package telemetry

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Values of the OpenTelemetry messaging labels.
const (
	systemKafka      = "kafka"
	operationPoll    = "poll"
	operationSend    = "send"
	operationProcess = "process"
	// errorOther is what the conventions say for an error without a class.
	errorOther = "_OTHER"
)

// partitionOf is one partition of one topic.
type partitionOf struct {
	topic     string
	partition int
}

// noPartition stands for all partitions beyond the bound.
const noPartition = -1

// resultOf is a topic and how something done with it ended; "" is well.
type resultOf struct{ topic, errorType string }

// logMetrics is what the kafka package reports.
type logMetrics struct {
	consumed *children[partitionOf, prometheus.Counter]
	sent     *children[resultOf, prometheus.Counter]

	lagMessages *prometheus.GaugeVec
	lagSeconds  *prometheus.GaugeVec
	assigned    *children[string, prometheus.Gauge]
	rebalances  prometheus.Counter

	commitFailures prometheus.Counter
	lostEvents     prometheus.Counter
}

func newLogMetrics(r registrar, group string) logMetrics {
	group = label(group)
	consumed := r.counterVec("messaging_client_consumed_messages_total",
		"Messages read from the log.",
		"messaging_system", "messaging_operation_name", "messaging_consumer_group_name",
		"messaging_destination_name", "messaging_destination_partition_id")
	sent := r.counterVec("messaging_client_sent_messages_total",
		"Messages written to the log, or tried to.",
		"messaging_system", "messaging_operation_name", "messaging_destination_name", "error_type")
	assigned := r.gaugeVec("order_consumer_assigned_partitions",
		"Partitions this instance reads; 0 of all topics is an idle instance.", "topic")
	return logMetrics{
		consumed: newChildren(bound[partitionOf]{maxPartitions, partitionOf{other, noPartition}},
			func(p partitionOf) prometheus.Counter {
				return consumed.WithLabelValues(systemKafka, operationPoll, group, label(p.topic), partitionLabel(p.partition))
			}),
		sent: newChildren(bound[resultOf]{maxTopics * 2, resultOf{other, other}},
			func(of resultOf) prometheus.Counter {
				return sent.WithLabelValues(systemKafka, operationSend, label(of.topic), errorLabel(of.errorType))
			}),
		lagMessages: r.gaugeVec("order_consumer_lag_messages",
			"Messages in the partition that no commit covers yet. Every instance tells it of every partition of the group, so that one that nobody reads is seen: "+
				"use max by (topic, partition), a sum counts it once for each instance.", "topic", "partition"),
		lagSeconds: r.gaugeVec("order_consumer_lag_seconds",
			"Age of the first message of the partition that was read and is not settled; 0 when there is none. Told by the instance that reads the partition.", "topic", "partition"),
		assigned: newChildren(bound[string]{maxTopics, other}, func(topic string) prometheus.Gauge {
			return assigned.WithLabelValues(label(topic))
		}),
		rebalances: r.counter("order_consumer_rebalances_total", "Generations of the group this instance has joined."),
		commitFailures: r.counter("order_offset_commit_failures_total",
			"Offset commits that failed; what they covered is committed again later."),
		lostEvents: r.counter("order_orders_lost_to_retention_total",
			"Messages the log deleted before they were read: lost orders. Must stay 0."),
	}
}

// Consumed reports n messages read from a partition.
func (m *logMetrics) Consumed(topic string, partition, n int) {
	m.consumed.get(partitionOf{topic, partition}).Add(float64(n))
}

// Sent reports n messages written to topic, or not written because of err.
func (m *logMetrics) Sent(topic string, n int, err error) {
	m.sent.get(resultOf{topic, errorType(err)}).Add(float64(n))
}

// Lag reports how far the group is behind on a partition, whoever reads it: how many
// messages are not committed, and how old the oldest of them is; a negative age is not
// known, because another instance reads the partition.
func (m *logMetrics) Lag(topic string, partition int, messages int64, age time.Duration) {
	topic, number := label(topic), partitionLabel(partition)
	m.lagMessages.WithLabelValues(topic, number).Set(float64(max(messages, 0)))
	if age >= 0 {
		m.lagSeconds.WithLabelValues(topic, number).Set(age.Seconds())
	}
}

// Assigned reports how many partitions of topic this instance reads. An
// instance that gets none of a topic has to say so with 0.
func (m *logMetrics) Assigned(topic string, partitions int) {
	m.assigned.get(topic).Set(float64(partitions))
}

// Rebalanced reports that a new generation was joined. It forgets the lags: the age of
// a partition's first message is for the instance to tell that reads it now, and two
// that tell it would say two things. Whoever reports ages must have stopped reporting
// those of the old generation.
func (m *logMetrics) Rebalanced() {
	m.rebalances.Inc()
	m.lagMessages.Reset()
	m.lagSeconds.Reset()
}

// CommitFailed reports an offset commit that did not succeed.
func (m *logMetrics) CommitFailed() { m.commitFailures.Inc() }

// LostToRetention reports n messages that were deleted before they were read.
func (m *logMetrics) LostToRetention(n int64) { m.lostEvents.Add(float64(max(n, 0))) }

func partitionLabel(partition int) string {
	if partition == noPartition {
		return other
	}
	return strconv.Itoa(partition)
}

// errorLabel keeps the empty value: no error is no label.
func errorLabel(s string) string { return strings.ToValidUTF8(s, "?") }

// errorType classes an error of the log's client for the label error_type. A
// protocol error has a title ("Message Size Too Large"), of which there is a
// fixed list; the text of any other error may hold anything and is no label.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	if t, ok := errors.AsType[interface {
		error
		Title() string
	}](err); ok {
		return strings.ReplaceAll(strings.ToLower(t.Title()), " ", "_")
	}
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() {
		return "timeout"
	}
	return errorOther
}
