package cli

import (
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	shanghai := time.FixedZone("CST", 8*60*60)
	kathmandu := time.FixedZone("NPT", 5*60*60+45*60) // zones of whole hours are not all there are
	for _, tt := range []struct {
		text string
		zone *time.Location
		want string // empty: refused
	}{
		{"2026-11-23T01:02:03Z", shanghai, "2026-11-23T01:02:03Z"},
		{"2026-11-23T09:02:03+08:00", time.UTC, "2026-11-23T01:02:03Z"},
		{"2026-11-23 09:02:03+08:00", time.UTC, "2026-11-23T01:02:03Z"},
		{"2026-11-23T01:02:03.250Z", time.UTC, "2026-11-23T01:02:03.25Z"},
		{"2026-11-23", shanghai, "2026-11-22T16:00:00Z"},
		{"2026-11-23T09:02", shanghai, "2026-11-23T01:02:00Z"},
		{"2026-11-23 09:02:03", kathmandu, "2026-11-23T03:17:03Z"},
		{"15m", shanghai, "2026-11-23T11:45:00Z"},
		{"15m ago", shanghai, "2026-11-23T11:45:00Z"},
		{"2h30m", time.UTC, "2026-11-23T09:30:00Z"},
		{"3d", time.UTC, "2026-11-20T12:00:00Z"},
		{"1d12h", time.UTC, "2026-11-22T00:00:00Z"},
		{"-15m", time.UTC, ""},
		{"-1d", time.UTC, ""},
		{"yesterday", time.UTC, ""},
		{"2026-02-30", time.UTC, ""},
		{"2026-11-23T25:00:00Z", time.UTC, ""},
		{"", time.UTC, ""},
		{"d", time.UTC, ""},
		{"106751d", time.UTC, "1734-08-15T12:00:00Z"},
		{"106751d1h", time.UTC, ""}, // more than a duration holds
		{"300000d", time.UTC, ""},   // 24 times it is a short time again, or one to come
		{"0", time.UTC, ""},         // an offset, for those who know offsets
	} {
		got, err := ParseMoment(tt.text, now, tt.zone)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%q was taken for %s", tt.text, got)
		case tt.want != "" && (err != nil || got.Format(time.RFC3339Nano) != tt.want || got.Location() != time.UTC):
			t.Errorf("%q is %s, %v, want %s", tt.text, got.Format(time.RFC3339Nano), err, tt.want)
		}
	}
}
