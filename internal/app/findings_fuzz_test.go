package app

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/report"
)

// FuzzReadFindings holds that findings come back as an audit has written them,
// and that what is none is refused with its line.
func FuzzReadFindings(f *testing.F) {
	for _, text := range []string{
		`{"rule":"event_lost","topic":"orders","partition":0,"offset":1,"detail":""}` + "\n" + `{"summary":{}}`,
		`{"rule":"stock_sum","goods_id":"apple"}` + "\r\n\n", "{}\n", `{"rule":"no_event","items":[{"goods_id":"a","num":-1}]}`, `{"rule":1}`, `[`, "\xff", `{"rule":"a"} x`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var found []report.Finding
		keep := func(f *report.Finding) error { found = append(found, *f); return nil }
		err := readFindings(bytes.NewReader(text), keep)
		if err != nil && !findingLine.MatchString(err.Error()) {
			t.Errorf("%v does not say where the mistake is", err)
		}
		if lines := 1 + bytes.Count(text, []byte("\n")); len(found) > lines {
			t.Errorf("%d findings in %d lines", len(found), lines)
		}
		var again bytes.Buffer
		for i := range found {
			if found[i].Rule == "" {
				t.Errorf("finding %d is of no rule", i+1)
			}
			if err := json.NewEncoder(&again).Encode(&found[i]); err != nil {
				t.Fatal(err)
			}
		}
		before := found
		found = nil
		if err := readFindings(&again, keep); err != nil {
			t.Fatalf("written and read again: %v", err)
		}
		if diff := cmp.Diff(before, found, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("written and read again:\n%s", diff)
		}
	})
}

// findingLine is how the reader of findings says where a mistake is.
var findingLine = regexp.MustCompile(`^line \d+ of the findings: .`)
