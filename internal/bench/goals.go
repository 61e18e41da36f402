package bench

import (
	"cmp"
	"fmt"
	"strconv"
)

// Figure names a figure of a result, as it is called in JSON.
type Figure string

// The figures that have goals.
const (
	RatioToTextbook    Figure = "ratio_to_textbook"
	RatioToCeiling     Figure = "ratio_to_ceiling"
	RatioToBase        Figure = "ratio_to_base"
	ConsumerToDatabase Figure = "cpu_consumer_to_database"
	P99Millis          Figure = "p99_ms"
	PeakMiB            Figure = "peak_memory_mib"
)

// Goal is what a figure is to be.
type Goal struct {
	Figure Figure
	Bound  float64
	AtMost bool    // else at least
	Aim    float64 // beyond the bound; zero for none
}

func atLeast(f Figure, bound float64) Goal { return Goal{Figure: f, Bound: bound} }
func atMost(f Figure, bound float64) Goal  { return Goal{Figure: f, Bound: bound, AtMost: true} }

func (g Goal) aiming(at float64) Goal {
	g.Aim = at
	return g
}

// String is the goal as it is stated: ">= 60, aim 80".
func (g Goal) String() string {
	sign := ">="
	if g.AtMost {
		sign = "<="
	}
	text := fmt.Sprintf("%s %s", sign, short(g.Bound))
	if g.Aim != 0 {
		text += ", aim " + short(g.Aim)
	}
	return text
}

// short writes a number without the zeros behind it.
func short(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Verdict says what became of a goal, or of all goals of a row.
type Verdict string

const (
	// Met: every goal was reached.
	Met Verdict = "met"
	// Missed: some goal was not.
	Missed Verdict = "missed"
	// Unknown: some figure that has a goal was not measured.
	Unknown Verdict = "unknown"
	// Void: the row was not measured, or the audit after it found something.
	Void Verdict = "void"
	// NoGoal: the row has none.
	NoGoal Verdict = "none"
)

// judge holds a figure against the goal; ok is false when there is none.
func (g Goal) judge(got float64, ok bool) Verdict {
	switch {
	case !ok:
		return Unknown
	case g.AtMost && got <= g.Bound, !g.AtMost && got >= g.Bound:
		return Met
	default:
		return Missed
	}
}

// worst is the verdict of a row: what is missed outweighs what is not known.
func worst(a, b Verdict) Verdict {
	rank := map[Verdict]int{NoGoal: 0, Met: 1, Unknown: 2, Missed: 3, Void: 4}
	if cmp.Compare(rank[a], rank[b]) >= 0 {
		return a
	}
	return b
}
