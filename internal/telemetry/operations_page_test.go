package telemetry

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheOperationsPageNamesEveryMetric holds the page for operators against what is
// exported: each of our metrics has its line, and no line or alert names one that there
// is not.
func TestTheOperationsPageNamesEveryMetric(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "## When to be woken")
	exported := make(map[string]bool)
	for line := range strings.Lines(string(names)) {
		name, _, _ := strings.Cut(line, " ")
		exported[name] = true
		if !regexp.MustCompile("`" + name + "[{`]").MatchString(table) {
			t.Errorf("the page does not say what %s means", name)
		}
	}
	for _, name := range regexp.MustCompile(`\b(order|messaging|http_server)_[a-z_]+[a-z]\b`).FindAllString(string(text), -1) {
		if !exported[strings.TrimSuffix(name, "_count")] {
			t.Errorf("the page names %s, which is not exported", name)
		}
	}
}
