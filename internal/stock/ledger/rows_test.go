package ledger

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderconsumer/internal/stock"
)

func TestItemsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stock.Line {
			return stock.Line{
				Goods: rapid.StringN(1, 16, stock.MaxIDBytes).Draw(t, "goods"),
				Num:   rapid.Int64Range(1, math.MaxInt64).Draw(t, "num"),
			}
		}), 1, 20).Draw(t, "lines")
		text := appendItems(nil, lines)
		if !json.Valid(text) {
			t.Fatalf("not JSON: %s", text)
		}
		got, err := decodeItems(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
}

func TestShortagesRoundTrip(t *testing.T) {
	t.Parallel()
	want := []stock.Shortage{{Goods: "a\"\\\n\x00", Wanted: math.MaxInt64, Available: 0}, {Goods: "\u00e4\U0001f600", Wanted: 2, Available: 1}}
	text := appendShortages(nil, want)
	got, err := decodeShortages(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", text, diff)
	}
}

func TestItemsAreCanonical(t *testing.T) {
	t.Parallel()
	lines := []stock.Line{{Goods: "421", Num: 2}, {Goods: "7", Num: 1}}
	if got, want := string(appendItems(nil, lines)), `{"421":2,"7":1}`; got != want {
		t.Errorf("items %s, want %s", got, want)
	}
	if appendItems(nil, nil) != nil || appendShortages(nil, nil) != nil {
		t.Error("nothing is not NULL")
	}
}

func TestBrokenItemsAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", "null", `{"a"}`, `{"a":}`, `{"a":"1"}`, `{"a":1.5}`, `{"a":1`, `{"a":99999999999999999999}`, `{"a":{}}`} {
		if lines, err := decodeItems([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, lines)
		}
	}
}

// TestValuesCannotLeaveTheirLiteral: whatever an id is, its literal is made of
// nothing but hexadecimal digits.
func TestValuesCannotLeaveTheirLiteral(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		var s statement
		for _, got := range []string{s.reset().bytes(value).String(), s.reset().raw([]byte(value)).String()} {
			digits, ok := strings.CutPrefix(got, "x'")
			digits, end := strings.CutSuffix(digits, "'")
			if !ok || !end || strings.Trim(digits, "0123456789abcdef") != "" || len(digits) != 2*len(value) {
				t.Fatalf("%q became %s", value, got)
			}
		}
	})
}

func TestWordIsOneOfOurs(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a quote was taken for a word")
		}
	}()
	new(statement).word("a'b")
}

func TestTimeLiteral(t *testing.T) {
	t.Parallel()
	var s statement
	zone := time.FixedZone("", 3600)
	first := time.Date(2026, 11, 23, 1, 2, 3, 4_000_000, zone)
	s.time(first).text(" ").time(first).text(" ").time(time.Time{}).text(" ").time(first.Add(time.Second))
	const want = "'2026-11-23 00:02:03.004' '2026-11-23 00:02:03.004' NULL '2026-11-23 00:02:04.004'"
	if s.String() != want {
		t.Errorf("times %s, want %s", s.String(), want)
	}
}
