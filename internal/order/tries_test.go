package order

import (
	"errors"
	"testing"
	"time"

	"orderconsumer/internal/stock"
)

// TestTries: how often a transaction is run again, by what it fails of.
func TestTries(t *testing.T) {
	t.Parallel()
	const forEver = 100
	for _, tt := range []struct {
		name  string
		tries tries
		err   error
		doubt bool
		took  time.Duration
		want  int // tries until the batch is halved, or the order finds its end
	}{
		{name: "a deadlock", err: stock.ErrBusy, want: againMost},
		{name: "locked rows", err: stock.ErrRowsLocked, want: againMost},
		{name: "locked rows of one order without a tier", tries: tries{alone: true, waits: true}, err: stock.ErrRowsLocked, want: forEver},
		{name: "locked rows of a batch without a tier", tries: tries{waits: true}, err: stock.ErrRowsLocked, want: againMost},
		{name: "a deadlock of one order without a tier", tries: tries{alone: true, waits: true}, err: stock.ErrBusy, want: againMost},
		{name: "locked rows while a commit is in doubt", err: stock.ErrRowsLocked, doubt: true, want: forEver},
		{name: "a database that is away", err: stock.ErrUnavailable, took: time.Millisecond, want: forEver},
		{name: "a batch that the database is too slow for", err: stock.ErrUnavailable, took: time.Minute, want: slowMost},
		{name: "an order that the database is too slow for", tries: tries{alone: true}, err: stock.ErrUnavailable, took: time.Minute, want: forEver},
		{name: "an order that contradicts the ledger", err: ErrConflict, want: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.tries.slowAfter = slowAfter
			n := 1
			for ; n < forEver; n++ {
				if _, _, more := tt.tries.after(tt.err, tt.doubt, tt.took); !more {
					break
				}
			}
			if n != tt.want {
				t.Errorf("%d tries, want %d", n, tt.want)
			}
		})
	}
	t.Run("locked rows do not count until the doubt is over", func(t *testing.T) {
		t.Parallel()
		var doubtful tries
		doubtful.after(stock.ErrRowsLocked, true, 0)
		doubtful.after(stock.ErrRowsLocked, true, 0)
		n := 1
		for ; n < forEver; n++ {
			if _, _, more := doubtful.after(errors.Join(stock.ErrRowsLocked), false, 0); !more {
				break
			}
		}
		if n != againMost {
			t.Errorf("%d tries after the doubt, want %d", n, againMost)
		}
	})
}
