package drill

import (
	"slices"
	"testing"
)

func TestEnvironment(t *testing.T) {
	t.Parallel()
	there := []string{"A=1", "AB=2", "C=3"}
	got := environment(there, []string{"A=9", "C", "D=", "A=10"})
	if want := []string{"AB=2", "D=", "A=10"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if there[0] != "A=1" {
		t.Error("what was there has changed")
	}
}
