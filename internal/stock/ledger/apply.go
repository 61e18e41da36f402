package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"orderconsumer/internal/stock"
)

const (
	// maxStatementBytes ends a bulk statement. The driver keeps a buffer of 256 KiB at the
	// most for the next one; what is longer it makes room for anew, each time, which with 512 KiB
	// was 6 % of all that the consumer allocated. 2,000 small orders are two or three
	// statements for each table.
	maxStatementBytes = 250 << 10

	// maxKeys bounds one look-up by keys, so that the server plans short lists.
	maxKeys = 2000
)

// Apply decides the requests in the order given and records what was decided,
// all in one transaction, and returns a decision for each request.
//
// The steps and what each is for: read the orders that are known; lock the
// levels the others need, in the order of their ids, so that two batches never
// hold what the other waits for; decide, in memory; write orders, movements and
// levels; commit. When every request turns out to be known nothing is locked or written.
//
// The first step is left out for orders that are most likely new. Where one of them is known,
// the database refuses to insert it again, and everything is rolled back and done with all
// steps ([lookups]).
//
// Where a transaction of this ledger that is not through yet changes some of the levels,
// the batch is decided from what it will leave behind, and the levels are locked after
// orders and movements are written ([Ledger.applyAhead]); if they are not as expected
// then, everything is rolled back and done in the order above.
//
// An error means that nothing was changed, except [stock.ErrUnknownCommit],
// which means that nobody knows yet. [stock.ErrBusy] and [stock.ErrUnknownCommit]
// ask for the same call again; [stock.ErrUnavailable] is the database's trouble;
// [stock.ErrInvalid] and any other error are about something in this batch.
func (l *Ledger) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	for i := range reqs {
		if err := reqs[i].Check(); err != nil {
			return nil, fmt.Errorf("apply: %w", err)
		}
	}
	b := &batch{reqs: reqs}
	err := l.applyUntil(ctx, b)
	l.tell(&b.changes, err)
	if err != nil {
		return nil, fmt.Errorf("apply %d requests: %w", len(reqs), err)
	}
	return b.decisions, nil
}

// batch is one call of Apply and what it came to.
type batch struct {
	reqs      []stock.Request
	decisions []stock.Decision
	changes   stock.Changes
	writer    *writer // what others know of it; nil before it has joined them
	looks     bool    // looks up whether its orders are known
}

// applyUntil runs the transaction until its orders are new and its levels as expected. One that
// looks its orders up does not take them for new, one that is not ahead expects nothing; so it
// ends after four times at the most.
func (l *Ledger) applyUntil(ctx context.Context, b *batch) error {
	begin := time.Now()
	ahead, look, late := l.dialect.FindLevels.Open != "", false, false
	for {
		b.looks = look || l.lookups.next()
		err := l.applyOnce(ctx, b, ahead)
		switch {
		case err == nil:
			return nil
		case !b.looks && mayBeKnown(err):
			if l.refused != nil {
				l.refused()
			}
			l.lookups.refused()
			look = true
		case errors.Is(err, errOutOfTurn) && !late:
			late = true
		case errors.Is(err, errUnexpected) && ahead:
			ahead = false
		default:
			l.lookups.failed()
			return err
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < time.Since(begin) {
			l.lookups.failed()
			return fmt.Errorf("%w, and there is no time left to do it again: %w", stock.ErrBusy, err)
		}
	}
}

// applyOnce runs the transaction once.
func (l *Ledger) applyOnce(ctx context.Context, b *batch, mayBeAhead bool) (err error) {
	b.writer, b.changes = nil, stock.Changes{}
	committed := false
	defer func() {
		if b.writer != nil {
			b.writer.end(committed) // also after a panic, which goes on
		}
	}()
	err = l.transact(ctx, func(t *transaction) error {
		t.crash = l.crash
		err := l.apply(ctx, t, b, mayBeAhead)
		if err != nil && b.writer != nil {
			b.writer.end(false) // to be rolled back takes as long as it took to write
		}
		return err
	})
	committed = err == nil
	return err
}

// apply does everything between BEGIN and COMMIT.
func (l *Ledger) apply(ctx context.Context, t *transaction, b *batch, mayBeAhead bool) error {
	records, err := l.findKnown(ctx, t, b)
	if err != nil {
		return err
	}
	book := &stock.Book{Records: records}
	goods := goodsNeeded(b.reqs, records)
	if !mayBeAhead {
		b.writer = l.expectations.lockFirst(goods)
	} else if b.writer, err = l.expectations.join(ctx, goods, l.patience); err != nil {
		return err
	}
	if b.writer.ahead {
		return l.applyAhead(ctx, t, book, b)
	}
	if err := l.lockLevels(ctx, t, goods, book); err != nil {
		return err
	}
	if err := l.findUnlisted(ctx, t, b, book); err != nil {
		return err
	}
	b.decisions, b.changes = b.writer.decideLocked(book, b.reqs, l.clock())
	return l.write(ctx, t, &b.changes)
}

// goodsNeeded returns, sorted, the goods whose levels the batch reads: those of
// orders not known yet and those of known orders that are to be released.
func goodsNeeded(reqs []stock.Request, records map[string]stock.Record) []string {
	needed := make(map[string]struct{}, 2*len(reqs))
	for i := range reqs {
		record, known := records[reqs[i].Order]
		var lines []stock.Line
		switch {
		case reqs[i].Action == stock.Deduct && !known:
			lines = reqs[i].Lines
		case reqs[i].Action == stock.Release && known && record.State == stock.Deducted:
			lines = record.Lines
		}
		for _, line := range lines {
			needed[line.Goods] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(needed))
}

// lockLevels reads levels and keeps them locked until the transaction ends.
func (l *Ledger) lockLevels(ctx context.Context, t *transaction, goods []string, into *stock.Book) error {
	return l.readLevels(ctx, t, "lock", &l.dialect.LockLevels, goods, into)
}

func (l *Ledger) readLevels(ctx context.Context, t *transaction, verb string, query *KeyQuery, goods []string, into *stock.Book) error {
	into.Levels, into.Versions = make(map[string]int64, len(goods)), make(map[string]int64, len(goods))
	var raw sql.RawBytes
	var available, version int64
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().keys(query, chunk)
		err := t.query(ctx, fmt.Sprintf("%s levels of %d goods", verb, len(chunk)), func(rows *sql.Rows) error {
			if err := rows.Scan(&raw, &available, &version); err != nil {
				return err
			}
			id := string(raw)
			into.Levels[id], into.Versions[id] = available, version
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
