package publish

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
	"orderconsumer/internal/testkit"
)

// publishFile draws everything out of a file of events, as publishing it would,
// and returns what would be published and what is kept for being corrected.
func publishFile(tb testing.TB, text []byte, c Command) (parcels []parcel, kept, said string, r *eventReader) {
	tb.Helper()
	var talk strings.Builder
	s := &cli.Session{Name: "producer", Stderr: cli.NewTalker(&talk)}
	t := newTally(s)
	r = &eventReader{cmd: &c, lines: readLines(tb.Context(), bytes.NewReader(text), &t.bytes), tally: t, failed: &failedFile{}}
	for p := range r.events() {
		parcels = append(parcels, p)
	}
	r.failed.close()
	t.complaints.end()
	if err := r.failed.err; err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(c.Target.FailedFile)
	if err != nil && !os.IsNotExist(err) {
		tb.Fatal(err)
	}
	return parcels, string(content), talk.String(), r
}

// FuzzPublishFile holds that no line of a file gets lost: it is published, or
// kept for being corrected, or blank, or the line of names that a file of CSV
// may begin with.
func FuzzPublishFile(f *testing.F) {
	for _, text := range []string{
		`{"type":"order.created","order_id":"A","items":[{"goods_id":"1","num":1}]}` + "\n\n{\n" + `{"order_id":"B"}`,
		"A-1,421,2\nA-1,422,1\r\n\r\nA-2,421,5\nA-1,7,7",
		cli.ByteOrderMark + "num,goods_id,comment,order_id\n2,421,\"a, b\",A-1\n1,422,,A-1\n\"\n,,,A-2\n",
		"A,1,1\n" + strings.Repeat("A,2,1\n", order.MaxItems) + "B,1,1\n",
		"[1]\n", "order_id\nA\n", "\xff\xfe\x00A\x00,\x00", "A,1,+1\nA ,1,1\n A,1,9223372036854775808\n",
	} {
		for _, format := range []string{formatAuto, formatJSONL, formatCSV} {
			f.Add([]byte(text), format, false)
			f.Add([]byte(text), format, true)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, format string, force bool) {
		if format != formatJSONL && format != formatCSV {
			format = formatAuto
		}
		c := Command{File: "events", Format: format, NoValidate: force}
		c.Target.Topic, c.Target.FailedFile = "orders", filepath.Join(t.TempDir(), "failed")
		parcels, kept, said, r := publishFile(t, text, c)
		if r.err != nil {
			if len(parcels) > 0 || kept != "" {
				t.Fatalf("%v, and yet %d events would be published and %q is kept", r.err, len(parcels), kept)
			}
			return
		}
		checkLines(t, text, parcels, kept, r)
		for i := range parcels {
			checkParcel(t, &parcels[i], r.format, force)
		}
		if refused := r.tally.invalid.Load(); (refused > 0) != strings.Contains(said, "line ") {
			t.Errorf("%d were refused, and this was said: %q", refused, said)
		}
		if r.tally.bytes.Load() != int64(len(text)) {
			t.Errorf("%d of %d bytes were read", r.tally.bytes.Load(), len(text))
		}
	})
}

// checkLines holds what became of a file against the file, line by line.
func checkLines(t *testing.T, text []byte, parcels []parcel, kept string, r *eventReader) {
	t.Helper()
	count := func(into map[string]int, text string, by int) {
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != "" {
				into[strings.TrimSuffix(line, "\n")] += by
			}
		}
	}
	left := make(map[string]int)
	count(left, strings.TrimPrefix(string(text), cli.ByteOrderMark), 1)
	for i := range parcels {
		count(left, string(parcels[i].raw), -1)
	}
	header := string(r.failed.header)
	if kept == "" {
		count(left, header, -1)
	}
	count(left, kept, -1)
	maps.DeleteFunc(left, func(_ string, n int) bool { return n == 0 })
	if len(left) > 0 {
		t.Errorf("these lines come too often or not often enough: %v", left)
	}
}

// checkParcel holds an event that would be published against its lines.
func checkParcel(t *testing.T, p *parcel, format string, force bool) {
	t.Helper()
	event, err := order.Decode(&p.message)
	if err != nil && (format == formatCSV || !force) {
		t.Errorf("line %d would be published and can only be dead-lettered: %v", p.line, err)
	}
	if err == nil && string(p.message.Key) != event.OrderID {
		t.Errorf("line %d: order %q would be published under key %q", p.line, event.OrderID, p.message.Key)
	}
	if format == formatJSONL && !bytes.Equal(p.message.Value, withoutEnd(p.raw)) {
		t.Errorf("line %d: %q would be published as %q", p.line, p.raw, p.message.Value)
	}
	for _, h := range p.message.Headers {
		if !utf8.Valid(h.Value) {
			t.Errorf("line %d: header %s is no text: %q", p.line, h.Key, h.Value)
		}
	}
}

// TestLinesWithoutEndTakeBoundedMemory publishes a file whose one line is as
// long as two hundred of the longest that are looked at.
func TestLinesWithoutEndTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	s := &cli.Session{Name: "producer", Stderr: cli.NewTalker(io.Discard)}
	tally := newTally(s)
	endless := io.LimitReader(testkit.Zeros{}, 200*maxLineBytes)
	c := Command{File: "events", Format: formatJSONL}
	c.Target.FailedFile = os.DevNull
	r := &eventReader{cmd: &c, lines: readLines(t.Context(), endless, &tally.bytes), tally: tally, failed: &failedFile{}}
	for range r.events() {
		t.Error("a part of a line would be published")
	}
	r.failed.close()
	if tally.invalid.Load() != 1 || tally.bytes.Load() != 200*maxLineBytes || r.failed.err != nil {
		t.Errorf("%d lines of %d bytes were refused, error %v", tally.invalid.Load(), tally.bytes.Load(), r.failed.err)
	}
}
