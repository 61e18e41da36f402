package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"orderconsumer/internal/stock"
)

// Rehearsal answers what [Ledger.MendOrder], [Ledger.Recount] and [Ledger.Add] would do
// one after the other, each after those asked for before, and changes nothing. It
// takes no locks: orders that are applied meanwhile are not waited for, and it tells
// what was true when it looked. It is not safe for concurrent use.
type Rehearsal struct {
	ledger *Ledger
	mended map[string]bool        // orders
	added  map[rehearsedRef]int64 // what the movement of an Add has come to
	levels map[string]int64       // of goods whose level would have been changed
	moved  map[string]int64       // by goods: what movements would have been changed by
}

type rehearsedRef struct{ ref, goods string }

// Rehearse begins a Rehearsal.
func (l *Ledger) Rehearse() *Rehearsal {
	return &Rehearsal{ledger: l, mended: make(map[string]bool), added: make(map[rehearsedRef]int64),
		levels: make(map[string]int64), moved: make(map[string]int64)}
}

// look reads in one transaction, so that what it reads is of one moment where the
// database gives that.
func (r *Rehearsal) look(ctx context.Context, fn func(*transaction) error) error {
	snapshot := r.ledger.dialect.Snapshot
	return r.ledger.transactIn(ctx, r.ledger.views, &snapshot, fn)
}

// levelsOf are the levels of goods as they would be by now; those that are not known
// are not in it.
func (r *Rehearsal) levelsOf(ctx context.Context, t *transaction, goods []string) (map[string]int64, error) {
	known := make(map[string]int64, len(goods))
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().keys(&KeyQuery{Open: "SELECT goods_id,available FROM stock WHERE goods_id IN(", Between: ",", Close: ")"}, chunk)
		err := t.query(ctx, "read levels", func(rows *sql.Rows) error {
			var id key
			var available int64
			if err := rows.Scan(&id, &available); err != nil {
				return err
			}
			known[string(id)] = available
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range goods {
		if level, ok := r.levels[id]; ok {
			known[id] = level
		}
	}
	return known, nil
}

// MendOrder is what [Ledger.MendOrder] would do.
func (r *Rehearsal) MendOrder(ctx context.Context, order string) (Mended, error) {
	if r.mended[order] {
		return Mended{}, nil
	}
	var done Mended
	err := r.look(ctx, func(t *transaction) error {
		wrong, goods, err := r.ledger.wrongMovements(ctx, t, &r.ledger.dialect.FindOrders, order)
		if err != nil || wrong.empty() {
			return err
		}
		sums := make(map[string]int64, len(goods))
		if err := r.ledger.addUp(ctx, t, goods, sums); err != nil {
			return err
		}
		levels, err := r.levelsOf(ctx, t, goods)
		if err != nil {
			return err
		}
		done = Mended{Removed: wrong.extra, Added: wrong.missing}
		change := make(map[string]int64)
		for _, m := range wrong.extra {
			change[m.Goods] -= m.Delta
		}
		for _, m := range wrong.missing {
			change[m.Goods] += m.Delta
		}
		for _, id := range goods {
			after := sums[id] + r.moved[id] + change[id]
			if after < 0 {
				return fmt.Errorf("%w: goods %q would have %d available", stock.ErrOversold, id, after)
			}
			before, known := levels[id]
			done.Levels = append(done.Levels, stock.Adjusted{Goods: id, Before: before, After: after, Created: !known})
		}
		for _, level := range done.Levels {
			r.moved[level.Goods] += change[level.Goods]
			r.levels[level.Goods] = level.After
		}
		return nil
	})
	if err != nil {
		return Mended{}, fmt.Errorf("rehearse to mend order %q: %w", order, err)
	}
	r.mended[order] = true
	return done, nil
}

// Recount is what [Ledger.Recount] would do.
func (r *Rehearsal) Recount(ctx context.Context, goods string) (stock.Adjusted, error) {
	var answer stock.Adjusted
	err := r.look(ctx, func(t *transaction) error {
		levels, err := r.levelsOf(ctx, t, []string{goods})
		if err != nil {
			return err
		}
		sums := make(map[string]int64, 1)
		if err := r.ledger.addUp(ctx, t, []string{goods}, sums); err != nil {
			return err
		}
		before, known := levels[goods]
		sum, moved := sums[goods]
		sum += r.moved[goods]
		switch {
		case !known && !moved:
			return stock.ErrNotFound
		case sum < 0:
			return fmt.Errorf("%w: its movements come to %d", stock.ErrOversold, sum)
		}
		answer = stock.Adjusted{Goods: goods, Before: before, After: sum, Created: !known}
		return nil
	})
	if err != nil {
		return answer, fmt.Errorf("rehearse to recount goods %q: %w", goods, err)
	}
	r.levels[goods] = answer.After
	return answer, nil
}

// Add is what [Ledger.Add] would do. ref must not be empty: what nobody can name is
// never a repetition.
func (r *Rehearsal) Add(ctx context.Context, ref string, line stock.Line) (stock.Adjusted, error) {
	a := stock.Adjustment{Ref: ref, Mode: stock.Add, Lines: []stock.Line{line}}
	err := a.Check()
	if ref == "" {
		err = errors.Join(err, fmt.Errorf("%w: no reference", stock.ErrInvalid))
	}
	if err != nil {
		return stock.Adjusted{}, fmt.Errorf("rehearse to add: %w", err)
	}
	var answers []stock.Adjusted
	err = r.look(ctx, func(t *transaction) error {
		levels, err := r.levelsOf(ctx, t, []string{line.Goods})
		if err != nil {
			return err
		}
		applied, err := r.ledger.appliedUnder(ctx, t, ref, []string{line.Goods})
		if err != nil {
			return err
		}
		if balance, ok := r.added[rehearsedRef{ref, line.Goods}]; ok {
			applied[line.Goods] = stock.Movement{Ref: ref, Goods: line.Goods, Kind: stock.KindRestock, Delta: line.Num, Balance: balance}
		}
		book := stock.Book{Levels: levels}
		answers, _, err = book.Adjust(&a, applied, r.ledger.clock())
		return err
	})
	if err != nil {
		return stock.Adjusted{}, fmt.Errorf("rehearse to add %d of goods %q as %s: %w", line.Num, line.Goods, ref, err)
	}
	if answer := answers[0]; !answer.Repeated {
		r.levels[line.Goods] = answer.After
		r.moved[line.Goods] += line.Num
		r.added[rehearsedRef{ref, line.Goods}] = answer.After
	}
	return answers[0], nil
}
