package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

func TestImport(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		const goods = 2500 // three transactions
		lines := make([]stock.Line, goods)
		for i := range lines {
			lines[i] = line(fmt.Sprint(i), int64(i)) // not sorted as bytes
		}
		var seen []string
		in := ledger.Import{Mode: stock.Set, Lines: lines, Progress: func(done, total int) {
			seen = append(seen, fmt.Sprintf("%d/%d", done, total))
		}}
		out, err := l.Import(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if out.Ref == "" || out.Created != goods {
			t.Errorf("first import: %+v", out)
		}
		if diff := cmp.Diff([]string{"1000/2500", "2000/2500", "2500/2500"}, seen); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}

		lines[7].Num = 1000
		in.Ref, in.Progress = "again", nil
		if out, err = l.Import(t.Context(), in); err != nil || out != (ledger.Imported{Ref: "again", Changed: 1, Same: goods - 1}) {
			t.Errorf("import with one other level: %+v, %v", out, err)
		}
		wantVerdict(t, l, deduct("1", line("7", 1)), stock.Applied)
		if out, err = l.Import(t.Context(), in); err != nil || out != (ledger.Imported{Ref: "again", Repeated: goods}) {
			t.Errorf("the same import again: %+v, %v", out, err)
		}
		wantLevel(t, l, "7", 999)
	})
}

func TestImportChecksAllBeforeAny(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		for name, lines := range map[string][]stock.Line{
			"goods twice":  {line("a", 1), line("b", 1), line("a", 2)},
			"below zero":   {line("a", 1), line("b", -1)},
			"no goods id":  {line("a", 1), line("", 1)},
			"out of range": {line("a", 1), line("b", stock.MaxAvailable+1)},
		} {
			if _, err := l.Import(t.Context(), ledger.Import{Mode: stock.Set, Lines: lines}); !errors.Is(err, stock.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
		if levels, err := l.List(t.Context(), "", 10); err != nil || len(levels) != 0 {
			t.Errorf("levels after refused imports: %v, %v", levels, err)
		}
	})
}

func TestSetAndAdd(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, reopen func(testing.TB) *ledger.Ledger) {
		l := migrated(t, reopen(t))
		got, err := l.Set(t.Context(), "", line("a", 5))
		if want := (stock.Adjusted{Goods: "a", After: 5, Created: true}); err != nil || got != want {
			t.Errorf("set: %+v, %v, want %+v", got, err, want)
		}
		for range 2 { // no reference: a second call is a second delivery
			if _, err = l.Add(t.Context(), "", line("a", 2)); err != nil {
				t.Error(err)
			}
		}
		for range 2 { // a reference: the second call is the first one repeated
			if _, err = l.Add(t.Context(), "delivery 7", line("a", 10)); err != nil {
				t.Error(err)
			}
		}
		wantLevel(t, l, "a", 19)
	})
}
