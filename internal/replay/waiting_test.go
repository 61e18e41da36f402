package replay

import (
	"testing"

	"orderconsumer/internal/order"
)

// A resumed replay has forgotten what it decided before. The creates that it has
// published and the group has not settled are its own doing, and no reason to hold
// their cancels back.
func TestCreatesThatAReplayHasPublishedDoNotWait(t *testing.T) {
	t.Parallel()
	l := logInMemory{}
	by := func(id string) order.Header { return order.Header{Key: order.HeaderReplayID, Value: []byte(id)} }
	l.add(0, 0, created("ours", line("apple", 1)), by("r-1"))
	l.add(0, 1, created("another's", line("apple", 1)), by("r-2"))
	l.add(0, 2, created("failed", line("apple", 1)))
	l.add(0, 3, created("ours", line("apple", 1))) // its dead letter, say, that is brought back
	l.add(1, 4, created("both", line("apple", 1)))
	l.add(1, 5, created("both", line("apple", 1)), by("r-1"))
	for _, tt := range []struct {
		replay string
		waits  map[string]bool
	}{
		{"r-1", map[string]bool{"ours": false, "another's": true, "failed": true, "both": false, "unheard of": false}},
		{"", map[string]bool{"ours": true, "another's": true, "failed": true, "both": true, "unheard of": false}},
	} {
		waiting := NewWaiting(l, l.ranges(), tt.replay, t.TempDir())
		for id, want := range tt.waits {
			where, err := waiting.Where(t.Context(), id)
			if err != nil || (where != "") != want {
				t.Errorf("replay %q: %s waits in %q, %v; want %t", tt.replay, id, where, err, want)
			}
		}
		waiting.Close()
	}
}
