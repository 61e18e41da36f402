package cli

import (
	"fmt"
	"testing"
	"time"
)

// FuzzParseMoment holds that a moment lies where its text says: how long ago is
// counted exactly, or refused.
func FuzzParseMoment(f *testing.F) {
	for _, text := range []string{
		"2026-11-23T01:02:03Z", "2026-11-23 09:02", "15m", "3d", "1d12h30m ago", "300000d", "2562047h48m", "106751d24h", "-1d", "0000-01-01", "d", "0.5d",
	} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseMoment(text, now, time.UTC)
		if err != nil {
			return
		}
		if at.Location() != time.UTC {
			t.Errorf("%q is of zone %s", text, at.Location())
		}
		again, err := ParseMoment(at.Format(time.RFC3339Nano), now, time.FixedZone("CST", 8*60*60))
		if err != nil || !again.Equal(at) {
			t.Errorf("%q is %s, and that is %s, %v", text, at, again, err)
		}
		var days int64
		if n, err := fmt.Sscanf(text, "%dd\n", &days); n == 1 && err == nil && text == fmt.Sprintf("%dd", days) {
			if want := now.Add(-time.Duration(days) * 24 * time.Hour); time.Duration(days) > maxAgo/(24*time.Hour) || !at.Equal(want) {
				t.Errorf("%q is %s", text, at)
			}
		}
	})
}
