package bench

import (
	"testing"

	"pgregory.net/rapid"
)

func TestProgressNeverPassesWhatIsNotFinished(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Int64Range(0, 100).Draw(t, "start")
		p := newProgress(start)
		var begun []int64
		finished := make(map[int64]bool)
		next := start
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				next += rapid.Int64Range(0, 3).Draw(t, "gap")
				p.begin(next)
				begun = append(begun, next)
				next++
			},
			"finish": func(t *rapid.T) {
				if len(begun) == 0 {
					t.Skip("nothing is begun")
				}
				offset := rapid.SampledFrom(begun).Draw(t, "offset")
				if !finished[offset] {
					finished[offset] = true
					p.finish(offset)
				}
			},
			"": func(t *rapid.T) {
				want := start
				for _, offset := range begun {
					if !finished[offset] {
						break
					}
					want = offset + 1
				}
				if got := p.committable(); got != want {
					t.Fatalf("got %d, want %d", got, want)
				}
			},
		})
	})
}
