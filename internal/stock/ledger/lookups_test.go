package ledger

import "testing"

// TestLooksWhereKnownOrdersComeOneByOne: one batch in so many has a known order. Where that is too often
// for a refusal each time, all of them look after a few; where it is not, few do.
func TestLooksWhereKnownOrdersComeOneByOne(t *testing.T) {
	t.Parallel()
	const batches = 100_000
	for every, most := range map[int]struct{ refused, looked int }{
		1:    {1, batches},
		33:   {2, batches},
		50:   {2, batches},
		100:  {4, batches},
		200:  {batches / 200, batches / 200 * (lookAfter + 1)},
		1000: {batches / 1000, batches / 1000 * (lookAfter + 1)},
	} {
		var l lookups
		refused, looked := 0, 0
		for i := range batches {
			known := i%every == every-1
			if l.next() {
				looked++
				l.looked(known)
			} else if known {
				refused++
				l.refused()
				looked++
				l.looked(true)
			}
		}
		if refused == 0 || refused > most.refused || looked > most.looked {
			t.Errorf("a known order in one of %d batches: %d of %d refused, %d looked; want %d and %d at the most",
				every, refused, batches, looked, most.refused, most.looked)
		}
	}
}

// TestLooksOfBatchesRefusedSideBySide: what several workers had in their hands counts as one.
func TestLooksOfBatchesRefusedSideBySide(t *testing.T) {
	t.Parallel()
	var l lookups
	for range 3 {
		if l.next() {
			t.Fatal("a batch looks before any was refused")
		}
	}
	for range 3 {
		l.refused()
	}
	if l.left != lookAfter {
		t.Errorf("%d batches look after three were refused side by side, want %d", l.left, lookAfter)
	}
}
