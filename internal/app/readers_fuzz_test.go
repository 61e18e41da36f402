package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/testkit"
)

// FuzzReadLevels holds that a file of levels is taken whole, as it would be
// written again, or refused with the line of each mistake.
func FuzzReadLevels(f *testing.F) {
	for _, text := range []string{
		"apple,5\npear,0\n", "\xef\xbb\xbfGOODS_ID,Num\r\napple,5\r\n", "\"a \"\"b\"\", c\", 5\n", "apple,9007199254740992\n",
		"apple,5\n\"pear,5\n", "apple\n,,\n", "apple,5\napple,6\n", "\"a\nb\",1\n", "a\x00,1\n\xff,2\n",
	} {
		f.Add([]byte(text), false)
		f.Add([]byte(text), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, add bool) {
		mode, least := stock.Set, int64(0)
		if add {
			mode, least = stock.Add, 1
		}
		lines, err := readLevels(bytes.NewReader(text), mode)
		if err != nil {
			checkMistakes(t, err.Error())
			return
		}
		var again bytes.Buffer
		w := csv.NewWriter(&again)
		seen := make(map[string]bool)
		for _, line := range lines {
			if checkGoods(line.Goods) != nil || line.Num < least || line.Num > stock.MaxAvailable || seen[line.Goods] {
				t.Errorf("accepted %+v, seen before: %v", line, seen[line.Goods])
			}
			seen[line.Goods] = true
			if err := w.Write([]string{line.Goods, strconv.FormatInt(line.Num, 10)}); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		got, err := readLevels(&again, mode)
		if diff := cmp.Diff(lines, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("written and read again: %v\n%s", err, diff)
		}
	})
}

// mistakeLine is how a reader says where a mistake is.
var mistakeLine = regexp.MustCompile(`^(after )?line \d+: .`)

// checkMistakes wants the line of every mistake, and no more of them than
// anybody reads.
func checkMistakes(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if len(lines) > 1 {
		lines = lines[1:] // how many there are
	}
	if len(lines) > mistakesMost+1 {
		t.Errorf("%d lines of complaints", len(lines))
	}
	for _, line := range lines {
		if !mistakeLine.MatchString(line) && !strings.HasPrefix(line, "and ") {
			t.Errorf("%q does not say where the mistake is", line)
		}
	}
}

// TestLevelsTakeBoundedMemory holds that a line without an end, or a quote that is
// never closed, is refused before it fills memory.
func TestLevelsTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{"a line": "", "a quote": `"`} {
		counted := &countingReader{from: io.MultiReader(strings.NewReader("apple,5\n"+begin), io.LimitReader(testkit.Zeros{}, 1<<30))}
		_, err := readLevels(counted, stock.Set)
		if err == nil || !strings.HasPrefix(err.Error(), "after line 1: more than ") {
			t.Errorf("%s without end: got %v", name, err)
		}
		if counted.n > 2*maxRecordBytes {
			t.Errorf("%s without end: %d bytes were read", name, counted.n)
		}
	}
}

// countingReader counts what was read.
type countingReader struct {
	from io.Reader
	n    int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n += n
	return n, err
}

// FuzzReadOffsets holds that offsets written by group describe come back as they
// were, and that nothing else is taken for offsets.
func FuzzReadOffsets(f *testing.F) {
	for _, text := range []string{
		`{"group":"g","partitions":[{"topic":"orders","partition":0,"committed":7},{"topic":"orders","partition":1,"committed":null}]}`,
		`{"topic":"orders","partition":0,"committed":7}` + "\n" + `{"topic":"orders","partition":1}`,
		`{"topic":"orders","partition":-1,"committed":-2}`, `{"partitions":[{}]}`, `[]`, `{"topic":"orders","partition":0,"committed":1e3}`,
		`{"group":"a","topic":"t","partition":0}{"group":"b","topic":"t","partition":0,"committed":1}`, "{}\n{\n", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		target, err := readOffsets(bytes.NewReader(text))
		if err != nil {
			if err.Error() == "" {
				t.Error("refused without a word")
			}
			return
		}
		if len(target.rows) == 0 {
			t.Fatal("accepted without any partition")
		}
		var again bytes.Buffer
		for at, offset := range target.rows {
			if at.topic == "" || at.partition < 0 || offset < 0 && offset != kafka.NoCommit {
				t.Errorf("accepted offset %d of %q/%d", offset, at.topic, at.partition)
			}
			row := map[string]any{"group": target.group, "topic": at.topic, "partition": at.partition, "committed": nil}
			if offset >= 0 {
				row["committed"] = offset
			}
			if err := json.NewEncoder(&again).Encode(row); err != nil {
				t.Fatal(err)
			}
		}
		got, err := readOffsets(&again)
		if diff := cmp.Diff(target, got, cmp.AllowUnexported(resetTarget{}, place{})); err != nil || diff != "" {
			t.Errorf("written and read again: %v\n%s", err, diff)
		}
	})
}

// FuzzReplaySelection holds that what a replay selects is understood as it was
// written, or refused by the name of the flag.
func FuzzReplaySelection(f *testing.F) {
	f.Add("start", "end", "code=goods_unknown", "1,10,100,rest")
	f.Add("17", "2026-11-23", "x-shop=a*", "none")
	f.Add("-1", "15m", "=", "rest")
	f.Add("9223372036854775808", "3d", "a=b=c", "0,rest")
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, from, to, filter, ramp string) {
		for flag, text := range map[string]string{"from": from, "to": to} {
			b, err := parseBound(flag, text, now)
			if err != nil {
				if !strings.HasPrefix(err.Error(), "--"+flag) {
					t.Errorf("%q is refused and it is not said for which flag: %v", text, err)
				}
				continue
			}
			if b.offset < 0 || b.at.After(now) {
				t.Errorf("--%s %q is %+v", flag, text, b)
			}
		}
		c := ReplaySelection{Filters: []string{filter}}
		if got, err := c.filter(); err == nil {
			back, err := replay.ParseHeaderFilter(got.Headers[0].String())
			if err != nil || back != got.Headers[0] || got.Headers[0].Name == "" {
				t.Errorf("filter %q is %+v, and that is %+v, %v", filter, got.Headers[0], back, err)
			}
		} else if !strings.Contains(err.Error(), "--filter") {
			t.Errorf("filter %q is refused and it is not said for which flag: %v", filter, err)
		}
		if got, staged, err := replay.ParseRamp(ramp); err == nil && staged {
			back, _, err := replay.ParseRamp(got.String())
			if diff := cmp.Diff(got, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("ramp %q, written again: %v\n%s", ramp, err, diff)
			}
			for _, n := range got {
				if n < 1 {
					t.Errorf("ramp %q has a stage of %d", ramp, n)
				}
			}
		}
	})
}
