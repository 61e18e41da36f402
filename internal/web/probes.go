package web

import (
	"net/http"
	"strings"

	"orderconsumer/internal/telemetry"
)

// probe answers 200 when the report is well and 503 when not. The body is for
// people: with ?verbose one line for each thing that was looked at.
func probe(name string, ask func() telemetry.Report) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		report := ask()
		status := http.StatusOK
		if !report.OK() {
			status = http.StatusServiceUnavailable
		}
		text := brief(report)
		if r.URL.Query().Has("verbose") {
			text = verbose(name, report)
		}
		writeBody(w, status, typeText, []byte(text))
		return nil
	}
}

// brief names what fails without saying why.
func brief(r telemetry.Report) string {
	if r.OK() {
		return "ok\n"
	}
	var failing []string
	for _, l := range r.Lines {
		if l.State == telemetry.Failing {
			failing = append(failing, l.Name)
		}
	}
	return "failing: " + strings.Join(failing, ", ") + " (?verbose says more)\n"
}

func verbose(name string, r telemetry.Report) string {
	var b strings.Builder
	for _, l := range r.Lines {
		b.WriteString(l.String() + "\n")
	}
	if r.OK() {
		b.WriteString(name + " check passed\n")
	} else {
		b.WriteString(name + " check failed\n")
	}
	return b.String()
}
