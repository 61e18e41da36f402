package bench

import (
	"context"
	"errors"
	"fmt"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// errDirty voids a row: what was measured was not the work that was asked for.
var errDirty = errors.New("audit")

// audit holds what a measurement left against what it was to do: every order
// deducted once, in a database that keeps every promise; an outcome published
// for each; every offset committed.
func (w *World) audit(ctx context.Context, spec *Spec, events int) error {
	err := w.auditDatabase(ctx, spec.Servers.DatabaseURL, events)
	if err != nil || spec.Way == WayCeiling {
		return err
	}
	results := resultsOf(spec)
	outcomes, err := w.client.Positions(ctx, spec.Group, []string{results})
	if err != nil {
		return err
	}
	published := int64(0)
	for _, p := range outcomes {
		published += p.End - p.First
	}
	if published < int64(events) {
		return fmt.Errorf("%w: %d outcomes for %d orders", errDirty, published, events)
	}
	positions, err := w.client.Positions(ctx, spec.Group, []string{spec.Topic})
	if err != nil {
		return err
	}
	for _, p := range positions {
		if p.Lag() != 0 {
			return fmt.Errorf("%w: offsets of partition %d are committed up to %d of %d", errDirty, p.Partition, p.Committed, p.End)
		}
	}
	return nil
}

func (w *World) auditDatabase(ctx context.Context, target string, events int) error {
	l, err := ledger.Open(ctx, ledger.Config{URL: target})
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	var first stock.Finding
	summary, err := l.Audit(ctx, stock.AuditOptions{Report: func(f stock.Finding) {
		if first.Rule == "" {
			first = f
		}
	}})
	switch {
	case err != nil:
		return err
	case !summary.Clean():
		return fmt.Errorf("%w: %d findings, the first: %s order %q goods %q: %s",
			errDirty, summary.Findings, first.Rule, first.Order, first.Goods, first.Detail)
	case summary.Orders != int64(events) || summary.ByState[stock.Deducted] != int64(events):
		return fmt.Errorf("%w: %d orders, %d of them deducted, want %d",
			errDirty, summary.Orders, summary.ByState[stock.Deducted], events)
	}
	return nil
}
