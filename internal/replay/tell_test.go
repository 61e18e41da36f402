package replay

import "testing"

// TestOnlyTheLastStageIsTheRest: whoever is told knows by it from when on the speed
// says how long the rest takes.
func TestOnlyTheLastStageIsTheRest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		staged bool
		stage  int
		want   bool
	}{
		{"the first of three stages", true, 0, false},
		{"the second", true, 1, false},
		{"the last", true, 2, true},
		{"after a stop at the last", true, 3, true},
		{"without stages", false, 0, true},
	} {
		var got bool
		e := Executor{Staged: tt.staged, Ramp: Ramp{1, 10}, object: &Object{Progress: Progress{Stage: tt.stage}},
			Tell: func(r Report) { got = r.Rest }}
		if e.tell(PhasePublishing, 0, nil); got != tt.want {
			t.Errorf("%s: told %t, want %t", tt.name, got, tt.want)
		}
	}
}
