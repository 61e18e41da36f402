package job

import (
	"errors"
	"fmt"
	"time"

	"github.com/netresearch/go-cron"
)

// Schedule is the times at which a job is to run. The zero value has none.
type Schedule struct {
	text  string
	times timeline
}

// timeline is what this package asks of the cron library.
type timeline interface {
	Next(time.Time) time.Time
	Prev(time.Time) time.Time
}

// syntax is the crontab's: five fields, a sixth for seconds before them if there
// is need, and words such as @daily. Where day of month and day of week are both
// given either will do, as crontab has it.
const syntax = cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor | cron.DowOrDom

// errNever: no such time comes in the years that are looked at.
var errNever = errors.New("no such time ever comes")

// ParseSchedule reads a cron expression. Times are UTC. Empty text is a schedule
// without times. "@every" is refused: it counts from when a process started, and
// two instances would never mean the same time.
func ParseSchedule(text string) (Schedule, error) {
	if text == "" {
		return Schedule{}, nil
	}
	parser, err := cron.TryNewParser(syntax)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
	}
	if _, ok := parsed.(*cron.SpecSchedule); !ok {
		return Schedule{}, fmt.Errorf("schedule %q: want fixed times, such as */5 * * * * for every five minutes", text)
	}
	times, ok := parsed.(timeline)
	if !ok || times.Next(time.Unix(0, 0).UTC()).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q: %w", text, errNever)
	}
	return Schedule{text: text, times: times}, nil
}

// String is the expression.
func (s Schedule) String() string { return s.text }

// Due returns the newest time up to now; zero for a schedule without times.
func (s Schedule) Due(now time.Time) time.Time {
	if s.times == nil {
		return time.Time{}
	}
	// The library wants strictly before.
	return s.times.Prev(now.UTC().Truncate(time.Second).Add(time.Second))
}

// Next returns the first time after now; zero for a schedule without times.
func (s Schedule) Next(now time.Time) time.Time {
	if s.times == nil {
		return time.Time{}
	}
	return s.times.Next(now.UTC())
}
