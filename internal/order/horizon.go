package order

import (
	"fmt"
	"time"
)

// EventTime is since when an event can have been around: the oldest of the times
// that are known of it. Not the newest: a copy that was published again, by a
// replay or from a file, has a new place in the log, and may be of an order that
// is remembered no more. Zero when no time is known.
func EventTime(m *Message, d *Delivery, e *Event) time.Time {
	oldest := m.Time
	for _, t := range []time.Time{d.OriginTime, e.OccurredAt} {
		if !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	return oldest
}

// CheckHorizon returns an error that wraps ErrTooOld for an event from before
// the dedup horizon: its order may have been decided and cleaned up since, and
// to the ledger it would be a new one. A horizon of zero has no end.
func CheckHorizon(horizon time.Duration, event, now time.Time) error {
	if horizon == 0 || event.IsZero() || now.Sub(event) <= horizon {
		return nil
	}
	return fmt.Errorf("%w of %s: it is from %s", ErrTooOld, horizon, event.UTC().Format(TimeFormat))
}
