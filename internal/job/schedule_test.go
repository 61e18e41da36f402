package job

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0 3 * * *":      "",
		"*/5 * * * *":    "",
		"* * * * * *":    "",
		"@daily":         "",
		"":               "",
		"@every 1h":      "want fixed times",
		"0 3 * *":        "expected",
		"61 * * * *":     "61",
		"0 0 30 2 *":     "no such time",
		"every midnight": "expected",
	} {
		_, err := ParseSchedule(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if none, _ := ParseSchedule(""); !none.Due(time.Now()).IsZero() || !none.Next(time.Now()).IsZero() {
		t.Error("a schedule without times has one")
	}
}

func TestDueIsTheNewestTimeUpToNow(t *testing.T) {
	t.Parallel()
	s, err := ParseSchedule("30 3 * * *")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 3, 30, 0, 0, time.UTC)
	shanghai := time.FixedZone("+08", 8*60*60)
	for _, tt := range []struct{ now, due, next time.Time }{
		{at, at, at.AddDate(0, 0, 1)},
		{at.Add(time.Millisecond), at, at.AddDate(0, 0, 1)},
		{at.Add(-time.Millisecond), at.AddDate(0, 0, -1), at},
		{at.Add(time.Hour).In(shanghai), at, at.AddDate(0, 0, 1)}, // times are UTC wherever we are
	} {
		if got := s.Due(tt.now); !got.Equal(tt.due) {
			t.Errorf("at %s due %s, want %s", tt.now, got, tt.due)
		}
		if got := s.Next(tt.now); !got.Equal(tt.next) {
			t.Errorf("at %s next %s, want %s", tt.now, got, tt.next)
		}
	}
}

// TestDueAndNextAreNeighbours: the library walks time forwards and backwards
// with different code; what one finds the other must not skip.
func TestDueAndNextAreNeighbours(t *testing.T) {
	t.Parallel()
	field := func(most string, values ...string) *rapid.Generator[string] {
		return rapid.SampledFrom(append([]string{"*", "0-" + most, "*/7"}, values...))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join([]string{
			field("59", "0", "30", "1,59").Draw(t, "second"),
			field("59", "0", "59", "15,45").Draw(t, "minute"),
			field("23", "0", "23", "3,12").Draw(t, "hour"),
			rapid.SampledFrom([]string{"*", "1", "31", "29", "1-5", "*/10"}).Draw(t, "day"),
			rapid.SampledFrom([]string{"*", "1", "2", "12", "2,3"}).Draw(t, "month"),
			rapid.SampledFrom([]string{"*", "0", "1-5", "SAT"}).Draw(t, "weekday"),
		}, " ")
		s, err := ParseSchedule(text)
		if err != nil {
			return // the 31st of February
		}
		now := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		due, next := s.Due(now), s.Next(now)
		switch {
		case due.After(now) || !next.After(now):
			t.Fatalf("%q at %s: due %s, next %s", text, now.UTC(), due, next)
		case !s.Next(due).Equal(next):
			t.Fatalf("%q at %s: after the due time %s comes %s, but next is %s", text, now.UTC(), due, s.Next(due), next)
		case !s.Due(next).Equal(next) || !s.Due(next.Add(-time.Nanosecond)).Equal(due):
			t.Fatalf("%q at %s: before the next time %s was %s, but due is %s", text, now.UTC(), next, s.Due(next.Add(-time.Nanosecond)), due)
		}
	})
}
