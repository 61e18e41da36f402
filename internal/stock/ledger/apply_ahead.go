package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"orderconsumer/internal/stock"
)

// mostPatience is how long a batch waits in this process for one that it has goods
// in common with, before it goes its own way. It is more than transactions take
// that are not in trouble; where several workers queue for the same goods over a slow network
// it may not be, and they lock first then, as they would without waiting. A batch that is
// ahead has rows locked meanwhile, and two instances that wait for each other in this way
// are not seen by the server.
const mostPatience = time.Second

// Ahead says how it went with a transaction that wrote before it had its levels locked.
type Ahead string

// What may become of it.
const (
	// AheadRight: the levels were those expected.
	AheadRight Ahead = "right"
	// AheadWrong: the levels were others; everything was rolled back and done again.
	AheadWrong Ahead = "wrong"
	// AheadLate: one that comes before had failed, also with its levels locked, or took too long;
	// it was rolled back and done again.
	AheadLate Ahead = "late"
)

var (
	// errUnexpected: the levels are others than those the batch was decided from.
	// Everything is rolled back, and the batch decided again with its levels locked.
	errUnexpected = errors.New("levels are not as expected")
	// errOutOfTurn is the errUnexpected of a batch that was decided after one that has
	// failed, which says nothing about the next time.
	errOutOfTurn = fmt.Errorf("%w: a transaction before has failed", errUnexpected)
)

// applyAhead decides from levels that are expected and writes orders and movements
// before it locks the levels. Writing is most of a batch's work: where batches want
// the same goods it is done beside the transaction before instead of behind it,
// and from lock to commit there is little left to do.
//
// A decision follows from the levels, the known orders and the moment alone, so that levels
// which are as expected once they are locked make it the one that would have been
// made then. The version is compared too: a level may have been changed and changed back, and
// the next version is written from the one that was expected.
func (l *Ledger) applyAhead(ctx context.Context, t *transaction, book *stock.Book, b *batch) error {
	if err := l.readLevels(ctx, t, "read", &l.dialect.FindLevels, b.writer.needs, book); err != nil {
		return err
	}
	if err := l.findUnlisted(ctx, t, b, book); err != nil {
		return err
	}
	var levels map[string]int64
	b.decisions, b.changes, levels = b.writer.decideAhead(book, b.reqs, l.clock())
	if err := l.writeRows(ctx, t, &b.changes); err != nil {
		return err
	}
	how, err := l.lockAhead(ctx, t, b.writer, &stock.Book{Levels: levels, Versions: book.Versions})
	if l.wentAhead != nil && how != "" {
		l.wentAhead(how)
	}
	if err != nil {
		return err
	}
	b.writer.gotLevels()
	return l.writeStates(ctx, t, &b.changes)
}

// lockAhead locks the levels when it is the writer's turn, and fails if they are not as
// expected.
func (l *Ledger) lockAhead(ctx context.Context, t *transaction, w *writer, want *stock.Book) (Ahead, error) {
	outcome, err := w.await(ctx, l.patience)
	switch {
	case err != nil:
		return "", err
	case outcome == outOfTurn:
		return AheadLate, errOutOfTurn
	case outcome == outOfPatience:
		l.expectations.learn(false) // whoever is slow has no time to do things twice
		return AheadLate, errUnexpected
	}
	got := new(stock.Book)
	if err := l.lockLevels(ctx, t, w.needs, got); err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		l.expectations.learn(false) // likewise: what was written is written again
		return AheadLate, err
	}
	right := sameLevels(got, want)
	if !right && w.letDown() {
		return AheadLate, errOutOfTurn
	}
	l.expectations.learn(right)
	if !right {
		return AheadWrong, errUnexpected
	}
	return AheadRight, nil
}

// sameLevels reports whether two books have the same goods at the same levels, and of the
// same versions.
func sameLevels(a, b *stock.Book) bool {
	return maps.Equal(a.Levels, b.Levels) && maps.Equal(a.Versions, b.Versions)
}
