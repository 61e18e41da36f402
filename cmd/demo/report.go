package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"orderconsumer/internal/proof"
	"orderconsumer/internal/stock"
)

// report is what a demo came to. Every number is counted after the event, from
// the topics and the ledger.
type report struct {
	Published  int64 `json:"published"`  // events in the input topic
	Deducted   int64 `json:"deducted"`   // orders in this state at the end
	Rejected   int64 `json:"rejected"`   // likewise
	Released   int64 `json:"released"`   // likewise
	Voided     int64 `json:"voided"`     // likewise
	Duplicates int64 `json:"duplicates"` // events that came again
	Dead       int64 `json:"dead"`       // dead letters
	Retried    int64 `json:"retried"`    // messages that went to a retry tier
	Oversold   int64 `json:"oversold"`   // goods sold that were not there
	Lost       int64 `json:"lost"`       // events without outcome, row or dead letter
	Findings   int   `json:"findings"`   // of the audit; 0 is a clean one

	Seconds         float64 `json:"seconds"` // from the first event published to the last one settled
	OrdersPerSecond float64 `json:"orders_per_second"`

	unsettled int64 // events that came too late
	texts     []string
}

func newReport(found *proof.Report, took time.Duration) *report {
	r := &report{
		Published:  found.Published,
		Deducted:   found.States[stock.Deducted],
		Rejected:   found.States[stock.Rejected],
		Released:   found.States[stock.Released],
		Voided:     found.States[stock.Voided],
		Duplicates: found.Duplicates,
		Dead:       found.Dead,
		Retried:    found.Retried,
		Oversold:   found.Oversold,
		Lost:       found.Lost,
		Findings:   found.Wrong,
		Seconds:    rounded(took.Seconds(), 1000),
		unsettled:  found.Unsettled,
		texts:      found.Findings,
	}
	if took > 0 {
		r.OrdersPerSecond = rounded(float64(r.orders())/took.Seconds(), 10)
	}
	return r
}

func rounded(x, parts float64) float64 { return math.Round(x*parts) / parts }

// orders that came to a state.
func (r *report) orders() int64 { return r.Deducted + r.Rejected + r.Released + r.Voided }

// holds reports whether the audit does.
func (r *report) holds() bool { return r.Findings == 0 && r.Lost == 0 && r.Oversold == 0 }

// writeJSON writes the report as one object on one line.
func (r *report) writeJSON(w io.Writer) error {
	text, err := json.Marshal(r)
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// writeText writes the report for a person.
func (r *report) writeText(w io.Writer) error {
	verdict := "every event has its outcome, every broken one is a dead letter, the stock adds up"
	if !r.holds() {
		verdict = fmt.Sprintf("the audit has %d findings", r.Findings)
	}
	_, err := fmt.Fprintf(w, `%d events published, in %.1f s (%.0f orders/s)
orders:  %d deducted, %d rejected, %d released, %d voided
events:  %d duplicates, %d dead, %d retried
audit:   %d lost, %d oversold: %s
`, r.Published, r.Seconds, r.OrdersPerSecond, r.Deducted, r.Rejected, r.Released, r.Voided,
		r.Duplicates, r.Dead, r.Retried, r.Lost, r.Oversold, verdict)
	if err == nil && r.unsettled > 0 {
		_, err = fmt.Fprintf(w, "%d events came when the shop was closing, and were not looked at\n", r.unsettled)
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
