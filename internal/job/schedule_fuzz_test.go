package job

import (
	"testing"
	"time"
)

// FuzzParseSchedule holds that a schedule that is taken comes again and again, and
// that a time that is due was due before now and not long before the next.
func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{
		"", "0 3 * * *", "*/5 * * * *", "@daily", "@every 5m", "0 0 29 2 *", "0 0 31 2 *", "* * * * * *", "60 * * * *", "1-70/3 * * * *",
		"CRON_TZ=Asia/Shanghai 0 3 * * *", "TZ= * * * * *", "0 0 * * 7", "@reboot", "H * * * *",
	} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 1, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil || text == "" {
			return
		}
		due, next := s.Due(now), s.Next(now)
		if due.After(now) || !next.IsZero() && !next.After(now) {
			t.Errorf("%q: due %s, next %s, now %s", text, due, next, now)
		}
		if !next.IsZero() && !s.Due(next).Equal(next) {
			t.Errorf("%q: next is %s, and then %s is due", text, next, s.Due(next))
		}
	})
}
