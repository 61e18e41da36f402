package ledger_test

import (
	"slices"
	"testing"

	"orderconsumer/internal/stock/ledger"
)

// TestWritersAreReadCommitted, whatever the server's default is.
func TestWritersAreReadCommitted(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := open(t, url)
		var levels []string
		err := l.InTransaction(t.Context(), func(tx ledger.Tx) error {
			rows, err := tx.QueryContext(t.Context(), "SHOW SESSION VARIABLES WHERE Variable_name IN('transaction_isolation','tx_isolation')")
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var name, level string
				if err := rows.Scan(&name, &level); err != nil {
					return err
				}
				levels = append(levels, level)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(levels) == 0 || slices.ContainsFunc(levels, func(s string) bool { return s != "READ-COMMITTED" }) {
			t.Errorf("isolation of a transaction that writes: %q, want READ-COMMITTED", levels)
		}
	})
}
