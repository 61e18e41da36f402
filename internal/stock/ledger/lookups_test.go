package ledger

import "testing"

// play lets batches come, one in every of which has a known order, and counts those that were refused
// and those that looked.
func (l *lookups) play(batches, every int) (refused, looked int) {
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
	return refused, looked
}

// TestLooksWhereKnownOrdersComeOneByOne: one batch in so many has a known order. Where that is too often
// for a refusal each time, all of them look after a few; where it is not, few do.
func TestLooksWhereKnownOrdersComeOneByOne(t *testing.T) {
	t.Parallel()
	const batches = 100_000
	rarely := func(every int) (refused, looked int) { return batches / every, batches / every * (lookAfter + 1) }
	for every, few := range map[int]int{1: 1, 33: 2, 50: 2, lookPays - 1: 2, lookPays: 0, 200: 0, 1000: 0} {
		var l lookups
		refused, looked := l.play(batches, every)
		if few == 0 {
			if most, mostLooked := rarely(every); refused != most || looked > mostLooked {
				t.Errorf("a known order in one of %d batches: %d of %d refused, %d looked; want %d and %d at the most",
					every, refused, batches, looked, most, mostLooked)
			}
		} else if least := batches - few*every; refused != few || looked < least {
			t.Errorf("a known order in one of %d batches: %d of %d refused, %d looked; want %d and %d at the least",
				every, refused, batches, looked, few, least)
		}
	}
}

// TestLooksAfterKnownOrdersCameOften: where they come seldom after that, few batches look.
func TestLooksAfterKnownOrdersCameOften(t *testing.T) {
	t.Parallel()
	var l lookups
	for range 2 { // each just after the looks have ended
		l.play(l.left+1, l.left+1)
	}
	if l.left != lookPays {
		t.Fatalf("%d batches look, want %d", l.left, lookPays)
	}
	if refused, looked := l.play(100_000, 200); refused != 500 || looked > 500*(lookAfter+1)+lookPays {
		t.Errorf("%d of 100000 batches refused, %d looked", refused, looked)
	}
}

// TestLooksAfterAFailure: the batch comes again and may be known. As many look as after any known order, however many it
// were when they came one by one, long ago.
func TestLooksAfterAFailure(t *testing.T) {
	t.Parallel()
	var l lookups
	l.run = lookPays
	l.play(lookPays, lookPays+1)
	l.failed()
	if !l.next() {
		t.Fatal("the batch that comes again does not look")
	}
	l.looked(true)
	if l.left != lookAfter {
		t.Errorf("%d batches look, want %d", l.left, lookAfter)
	}
	l.failed()
	if l.left != lookAfter {
		t.Errorf("%d batches look after another failure, want %d", l.left, lookAfter)
	}
}

// TestLooksAfterTheFirstKnownOrderWasFoundByALook: the next one that comes too soon is not the first.
func TestLooksAfterTheFirstKnownOrderWasFoundByALook(t *testing.T) {
	t.Parallel()
	var l lookups
	l.failed()
	l.next()
	l.looked(true)
	l.play(lookAfter+1, lookAfter+1)
	if l.left != lookPays {
		t.Errorf("%d batches look, want %d", l.left, lookPays)
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
