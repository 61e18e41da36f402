// Package stocktest is what every ledger must do, as tests, and a ledger in
// memory that does it. The tests run on the model, on SQLite and on real
// servers, so that what is built on the model may be believed.
package stocktest

import (
	"context"
	"testing"

	"orderconsumer/internal/stock"
)

// Ledger is the seam: what the rest of the program asks of a ledger.
type Ledger interface {
	Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error)
	Adjust(ctx context.Context, a stock.Adjustment) ([]stock.Adjusted, error)
	Lookup(ctx context.Context, order string) (stock.Record, error)
	Records(ctx context.Context, orders []string) (map[string]stock.Record, error)
	Movements(ctx context.Context, ref string) ([]stock.Movement, error)
	Get(ctx context.Context, goods string) (stock.Level, error)
	Levels(ctx context.Context, goods []string) (map[string]stock.Level, error)
	List(ctx context.Context, after string, limit int) ([]stock.Level, error)
	Audit(ctx context.Context, options stock.AuditOptions) (stock.Summary, error)
}

// Run holds an implementation against the seam. open returns an empty ledger
// that no other test uses and that is closed with the test.
func Run(t *testing.T, open func(t *testing.T) Ledger) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *world){
		"an order is deducted whole":                                deductedWhole,
		"an order short of one goods takes nothing":                 rejectedWhole,
		"an order with unknown goods leaves nothing behind":         unknownGoods,
		"the same order again is answered from its record":          duplicate,
		"the same order with other lines is a conflict":             conflict,
		"a cancelled order is given back once":                      released,
		"an order cancelled before it came deducts nothing":         voided,
		"a batch sees its own orders":                               batchSeesItself,
		"one batch mixes known and new orders":                      mixedBatch,
		"a batch with one invalid request changes nothing":          invalidRequest,
		"ids that differ by a byte are different":                   oddIDs,
		"times are kept in milliseconds":                            times,
		"an order of 500 lines is one order":                        wideOrder,
		"a batch of 1,000 orders of 20 lines is one batch":          largeBatch,
		"an empty batch is no work":                                 emptyBatch,
		"levels are set and added to by movements":                  adjustments,
		"an adjustment with the same reference is applied once":     adjustmentAgain,
		"an adjustment past the limit changes nothing":              adjustmentRefused,
		"a level's version grows with each change":                  versions,
		"levels are listed page by page":                            listing,
		"what is not there is not found":                            notFound,
		"goods are not oversold by batches in flight at once":       oversell,
		"an order sent many times at once is applied once":          sameOrderAtOnce,
		"a cancellation sent many times at once is given back once": sameReleaseAtOnce,
		"levels set and sold at once still add up":                  adjustAtOnce,
		"a random history ends as the model's does":                 history,
		"a cancelled context ends a call":                           cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t, open(t)))
		})
	}
}
