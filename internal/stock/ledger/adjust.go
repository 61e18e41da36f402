package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"orderconsumer/internal/stock"
)

const (
	// importChunk is how many goods one transaction of an import touches: large
	// enough to be quick, small enough that orders for those goods wait for
	// milliseconds.
	importChunk = 1000

	// adjustAttempts bounds how often a chunk is run again after it lost against
	// another transaction or its commit got no answer. Its reference makes that
	// safe.
	adjustAttempts = 5
)

// Import is a list of levels or additions to apply.
type Import struct {
	// Ref names the import; a line already applied under the same Ref is not
	// applied again. Empty means a new one, and then a repeated Import is a second
	// one.
	Ref  string
	Mode stock.Mode
	// Lines in any order, each goods once.
	Lines []stock.Line
	// Progress, when set, is called after each transaction.
	Progress func(done, total int)
}

// Imported counts what became of an import's lines.
type Imported struct {
	Ref      string
	Created  int // goods that were not in the catalogue before
	Changed  int // levels that are another one now
	Same     int // levels that were right already
	Repeated int // lines that had been applied under this Ref before
}

// Set makes the level of one goods what available says and records the
// difference as a correction. ref makes a repeated call safe; empty means a new
// one.
func (l *Ledger) Set(ctx context.Context, ref string, line stock.Line) (stock.Adjusted, error) {
	return l.adjustOne(ctx, ref, stock.Set, line)
}

// Add puts goods that came in on top of a level. ref makes a repeated call safe;
// empty means a new one.
func (l *Ledger) Add(ctx context.Context, ref string, line stock.Line) (stock.Adjusted, error) {
	return l.adjustOne(ctx, ref, stock.Add, line)
}

func (l *Ledger) adjustOne(ctx context.Context, ref string, mode stock.Mode, line stock.Line) (stock.Adjusted, error) {
	answers, err := l.Adjust(ctx, stock.Adjustment{Ref: ref, Mode: mode, Lines: []stock.Line{line}})
	if err != nil {
		return stock.Adjusted{}, err
	}
	return answers[0], nil
}

// Import applies the lines in transactions of bounded size. When it fails, what
// was applied before stays, and the same Import with the same Ref goes on from
// there; the returned counts say how far it got and under which Ref.
func (l *Ledger) Import(ctx context.Context, in Import) (Imported, error) {
	out := Imported{Ref: in.Ref}
	if out.Ref == "" {
		out.Ref = newRef()
	}
	lines := slices.Clone(in.Lines)
	slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
	// All of it is checked before any of it is applied.
	whole := stock.Adjustment{Ref: out.Ref, Mode: in.Mode, Lines: lines}
	if err := whole.Check(); err != nil {
		return out, fmt.Errorf("import: %w", err)
	}
	done := 0
	for chunk := range slices.Chunk(lines, importChunk) {
		answers, err := l.Adjust(ctx, stock.Adjustment{Ref: out.Ref, Mode: in.Mode, Lines: chunk})
		if err != nil {
			return out, fmt.Errorf("import, %d of %d lines applied as %s: %w", done, len(lines), out.Ref, err)
		}
		for _, a := range answers {
			switch {
			case a.Repeated:
				out.Repeated++
			case a.Created:
				out.Created++
			case a.After != a.Before:
				out.Changed++
			default:
				out.Same++
			}
		}
		done += len(chunk)
		if in.Progress != nil {
			in.Progress(done, len(lines))
		}
	}
	return out, nil
}

// newRef returns a reference nobody has used; it sorts by time.
func newRef() string { return uuid.Must(uuid.NewV7()).String() }

// Adjust applies one adjustment in one transaction, again if that was rolled
// back or its commit got no answer. An empty Ref means a new one.
func (l *Ledger) Adjust(ctx context.Context, a stock.Adjustment) ([]stock.Adjusted, error) {
	if a.Ref == "" {
		a.Ref = newRef()
	}
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("adjust: %w", err)
	}
	var answers []stock.Adjusted
	var err error
	for range adjustAttempts {
		answers, err = l.adjust(ctx, &a)
		if !errors.Is(err, stock.ErrBusy) && !errors.Is(err, stock.ErrUnknownCommit) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("adjust %d levels as %s: %w", len(a.Lines), a.Ref, err)
	}
	return answers, nil
}

func (l *Ledger) adjust(ctx context.Context, a *stock.Adjustment) ([]stock.Adjusted, error) {
	goods := make([]string, len(a.Lines))
	for i, line := range a.Lines {
		goods[i] = line.Goods
	}
	var answers []stock.Adjusted
	var changes stock.Changes
	err := l.transact(ctx, func(t *transaction) error {
		var book stock.Book
		if err := l.lockLevels(ctx, t, goods, &book); err != nil {
			return err
		}
		// Read after the locks: a repeated call that runs beside this one has either
		// committed, and is seen, or waits for our rows.
		applied, err := l.appliedUnder(ctx, t, a.Ref, goods)
		if err != nil {
			return err
		}
		answers, changes, err = book.Adjust(a, applied, l.clock())
		if err != nil {
			return err
		}
		return l.write(ctx, t, &changes)
	})
	l.tell(&changes, err)
	return answers, err
}

// appliedUnder returns those of the goods that have a movement under the
// reference. Only they are asked for: a large import comes in many chunks under
// one reference, and each would read what all before it wrote.
func (l *Ledger) appliedUnder(ctx context.Context, t *transaction, ref string, goods []string) (map[string]stock.Movement, error) {
	applied := make(map[string]stock.Movement)
	var row movementRow
	for chunk := range slices.Chunk(goods, maxKeys) {
		t.st.reset().text("SELECT goods_id,kind,delta,balance FROM movements WHERE ref=").bytes(ref)
		t.st.keys(&KeyQuery{Open: " AND goods_id IN(", Between: ",", Close: ") AND kind IN('restock','correct')"}, chunk)
		err := t.query(ctx, "read movements of "+ref, func(rows *sql.Rows) error {
			if err := rows.Scan(&row.GoodsID, &row.Kind, &row.Delta, &row.Balance); err != nil {
				return err
			}
			applied[string(row.GoodsID)] = row.movement()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return applied, nil
}
