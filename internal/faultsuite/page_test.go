package faultsuite

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestThePageIsWhatIsWritten holds that everything on the page of faults but results
// is what Page writes: a remark that is on the page alone is lost when it is written
// again.
func TestThePageIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	totals, found := strings.CutPrefix(page, pageHead)
	if !found {
		t.Error("the page does not begin as it is written")
	}
	totals, _, _ = strings.Cut(totals, "\n\n| # | row |")
	if strings.Count(totals, "\n") > 0 || !strings.HasPrefix(totals, "All runs: ") {
		t.Errorf("before the rows there is %q, want the totals", totals)
	}
	var end strings.Builder
	end.WriteString(pageFound)
	writeElsewhere(&end)
	writePoints(&end)
	if !strings.HasSuffix(page, end.String()) {
		t.Error("the page does not end as it is written")
	}
	for _, row := range Rows() {
		want := fmt.Sprintf("\n| %d | `%s` | %s | %s |", row.Number, row.Name, row.Fault, row.Expect)
		if row.Elsewhere == "" && !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
