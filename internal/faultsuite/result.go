package faultsuite

import (
	"fmt"
	"time"
)

// Timing is how long something took, and how long it may.
type Timing struct {
	What string        `json:"what"`
	Took time.Duration `json:"took_ns"`
	// Goal is zero where there is none. Other work on the machine makes timings
	// longer, so one beyond its goal is told and does not break the row.
	Goal time.Duration `json:"goal_ns,omitempty"`
}

// Late reports whether it took longer than it may.
func (t Timing) Late() bool { return t.Goal > 0 && t.Took > t.Goal }

// String is the timing for a person.
func (t Timing) String() string {
	text := fmt.Sprintf("%s %.1f s", t.What, t.Took.Seconds())
	if t.Late() {
		text += fmt.Sprintf(" (goal %.0f s)", t.Goal.Seconds())
	}
	return text
}

// Result is what became of one playing of a row.
type Result struct {
	Number int       `json:"number"`
	Row    string    `json:"row"`
	At     time.Time `json:"at"`
	Seed   uint64    `json:"seed"`
	// Events were published, Orders are in the ledger.
	Events int64 `json:"events"`
	Orders int64 `json:"orders"`
	// Kills are consumers that died by SIGKILL.
	Kills int `json:"kills"`
	// Lost, Oversold and Wrong are the audit's; Wrong counts all findings.
	Lost     int64 `json:"lost"`
	Oversold int64 `json:"oversold"`
	Wrong    int   `json:"wrong"`
	// Dead letters, retries, and outcomes beyond one for each event, which are
	// events that were worked on twice.
	Dead     int64 `json:"dead"`
	Retried  int64 `json:"retried"`
	Replayed int64 `json:"replayed"`
	// Rewinds are committed offsets that went backwards.
	Rewinds int `json:"rewinds"`
	// Pause is the longest time without an outcome while orders came in.
	Pause    time.Duration `json:"pause_ns"`
	Took     time.Duration `json:"took_ns"`
	Timings  []Timing      `json:"timings,omitempty"`
	Observed []string      `json:"observed,omitempty"`
	// Findings are the first things that are wrong. Error is why the row could
	// not be played to its end, or what was expected and not seen.
	Findings []string `json:"findings,omitempty"`
	Error    string   `json:"error,omitempty"`
	Logs     string   `json:"-"`
}

// Kept reports that the promise was kept and what was expected was seen.
func (r *Result) Kept() bool { return r.Error == "" && r.Wrong == 0 && r.Lost == 0 && r.Oversold == 0 }

// Verdict is one word.
func (r *Result) Verdict() string {
	switch {
	case r.Lost > 0 || r.Oversold > 0 || r.Wrong > 0:
		return "BROKEN"
	case r.Error != "":
		return "FAILED"
	default:
		return "kept"
	}
}
