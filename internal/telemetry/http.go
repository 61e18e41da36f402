package telemetry

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxRequests bounds routes by methods by statuses.
const maxRequests = 256

// requestBuckets are those the OpenTelemetry conventions state, and finer ones
// before: an answer from the cache takes less than their first.
var requestBuckets = append([]float64{.00025, .0005, .001, .0025}, processBuckets...)

// methods are those that are told apart; anybody can make up more.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// requestOf is what requests are told apart by.
type requestOf struct {
	route, method string
	status        int
}

// httpMetrics is what the web package reports.
type httpMetrics struct {
	requests *children[requestOf, prometheus.Observer]
}

func newHTTPMetrics(r registrar) httpMetrics {
	durations := r.histogramVec("http_server_request_duration_seconds",
		"From the beginning of a request to the end of its answer.", requestBuckets,
		"http_route", "http_request_method", "http_response_status_code")
	return httpMetrics{
		requests: newChildren(bound[requestOf]{maxRequests, requestOf{other, other, 0}},
			func(of requestOf) prometheus.Observer {
				return durations.WithLabelValues(label(of.route), of.method, strconv.Itoa(of.status))
			}),
	}
}

// Served implements web.Requests.
func (m *httpMetrics) Served(route, method string, status int, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = errorOther // as the conventions have it
	}
	m.requests.get(requestOf{route, method, status}).Observe(took.Seconds())
}
