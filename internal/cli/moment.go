package cli

import (
	"fmt"
	"strings"
	"time"

	"orderconsumer/internal/order"
)

// MomentForms says how a moment may be written, for help texts and complaints.
const MomentForms = "RFC 3339 (2026-11-23T01:02:03Z), a date or a date and time of this machine's zone " +
	"(2026-11-23, 2026-11-23T09:02), or how long ago (15m, 2h30m, 3d)"

// localForms are moments without a zone; they are of the zone of this machine,
// as whoever types them means them.
var localForms = []string{
	"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02 15:04:05.999999999",
}

// ParseMoment reads a moment. zone is for those that name none, now is what
// those that say how long ago are counted from.
func ParseMoment(text string, now time.Time, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1)); err == nil {
		return t.UTC(), nil
	}
	for _, form := range localForms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	ago, err := parseAgo(strings.TrimSpace(strings.TrimSuffix(text, "ago")))
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: want %s", text, MomentForms)
	}
	return now.Add(-ago).UTC(), nil
}

// maxAgo is the longest time ago: what a duration holds, in whole days.
const maxAgo = 106_751 * 24 * time.Hour

// parseAgo reads a duration that may begin with days: 3d, 1d12h.
func parseAgo(text string) (time.Duration, error) {
	days := time.Duration(0)
	if before, rest, found := strings.Cut(text, "d"); found {
		d, err := time.ParseDuration(before + "h") // days are hours, 24 of them
		if err != nil {
			return 0, err
		}
		if d > maxAgo/24 {
			return 0, fmt.Errorf("%q is longer ago than anything", text)
		}
		days, text = 24*d, rest
		if text == "" {
			text = "0s"
		}
	}
	rest, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, err
	case days < 0 || rest < 0:
		return 0, fmt.Errorf("%q is in the future", text)
	case rest > maxAgo-days:
		return 0, fmt.Errorf("%q is longer ago than anything", text)
	case text == "0": // the only duration that needs no unit; it is rather an offset
		return 0, fmt.Errorf("%q has no unit", text)
	default:
		return days + rest, nil
	}
}

// UTC is a moment as answers show it.
func UTC(t time.Time) string { return t.UTC().Format(order.TimeFormat) }
