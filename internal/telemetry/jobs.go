package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxJobs is far above the number of jobs there are.
const maxJobs = 32

// What a run of a job comes to, as the label result.
const (
	JobDone   = "done"
	JobFailed = "failed"
	// JobLost: another instance took over, or has to.
	JobLost = "lost"
)

// jobBuckets reach from a clean-up that finds nothing to an audit of hours.
var jobBuckets = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400}

// jobResult are the labels of order_job_runs_total.
type jobResult struct{ job, result string }

// jobMetrics is what jobs report.
type jobMetrics struct {
	jobRuns     *children[jobResult, prometheus.Counter]
	jobSeconds  *children[string, prometheus.Observer]
	jobRunning  *children[string, prometheus.Gauge]
	jobTrouble  *children[string, prometheus.Counter]
	jobCrashes  *children[string, prometheus.Counter]
	jobFailing  *children[string, prometheus.Gauge]
	jobFinished *children[string, prometheus.Gauge]
	findings    prometheus.Gauge
}

func newJobMetrics(r registrar) jobMetrics {
	runs := r.counterVec("order_job_runs_total",
		"Runs of a job that this instance has ended, by what they came to.", "job", "result")
	seconds := r.histogramVec("order_job_run_seconds", "How long this instance ran a job.", jobBuckets, "job")
	gauges := func(name, help string) *children[string, prometheus.Gauge] {
		v := r.gaugeVec(name, help, "job")
		return newChildren(bound[string]{maxJobs, other}, func(job string) prometheus.Gauge { return v.WithLabelValues(label(job)) })
	}
	return jobMetrics{
		jobRuns: newChildren(bound[jobResult]{4 * maxJobs, jobResult{other, other}}, func(l jobResult) prometheus.Counter {
			return runs.WithLabelValues(label(l.job), label(l.result))
		}),
		jobSeconds: newChildren(bound[string]{maxJobs, other}, func(job string) prometheus.Observer {
			return seconds.WithLabelValues(label(job))
		}),
		jobRunning: gauges("order_job_running", "1 while this instance runs the job."),
		jobTrouble: counters(r.counterVec("order_job_trouble_total",
			"Times that a job could not be looked at, begun or recorded; it is tried again.", "job"), maxJobs),
		jobCrashes: counters(r.counterVec("order_job_takeovers_total",
			"Runs taken over by this instance because their holder had vanished.", "job"), maxJobs),
		jobFailing: gauges("order_job_failing", "1 when the newest run of the job, by whichever instance, has failed."),
		jobFinished: gauges("order_job_last_finished_timestamp_seconds",
			"When the newest run of the job, by whichever instance, has ended."),
		findings: r.gauge("order_audit_findings",
			"What the newest audit has found, by whichever instance. Must stay 0."),
	}
}

// JobBegan reports that this instance runs a job.
func (m *jobMetrics) JobBegan(job string, crash bool) {
	m.jobRunning.get(job).Set(1)
	if crash {
		m.jobCrashes.get(job).Inc()
	}
}

// JobEnded reports that it does no more; result is one of the words above.
func (m *jobMetrics) JobEnded(job, result string, took time.Duration) {
	m.jobRunning.get(job).Set(0)
	m.jobRuns.get(jobResult{job, result}).Inc()
	m.jobSeconds.get(job).Observe(took.Seconds())
}

// JobTrouble reports a job that could not be looked at.
func (m *jobMetrics) JobTrouble(job string) { m.jobTrouble.get(job).Inc() }

// JobSeen reports the newest run of a job that has ended.
func (m *jobMetrics) JobSeen(job string, failed bool, at time.Time) {
	value := 0.0
	if failed {
		value = 1
	}
	m.jobFailing.get(job).Set(value)
	m.jobFinished.get(job).Set(float64(at.UnixMilli()) / millisInSecond)
}

const millisInSecond = 1000

// Audited reports how much the newest audit has found.
func (m *jobMetrics) Audited(findings int64) { m.findings.Set(float64(findings)) }
