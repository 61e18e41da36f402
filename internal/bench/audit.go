package bench

import (
	"context"
	"fmt"
)

// audit checks the database after a run: a row of a run that broke a promise
// is worth nothing.
func (w *World) audit(ctx context.Context, database string) error {
	l, err := openLedger(ctx, database)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	return nil
}
