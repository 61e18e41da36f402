package testkit

import (
	"strings"
	"testing"
)

// WantParts fails the test for every one of the parts that text lacks.
func WantParts(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q:\n%s", part, text)
		}
	}
}
