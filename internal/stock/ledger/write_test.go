package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"

	"gorm.io/gorm"

	"orderconsumer/internal/stock"
)

// recorder is a connection that only notes the statements it is given.
type recorder struct {
	gorm.ConnPool
	statements []string
}

func (r *recorder) ExecContext(_ context.Context, text string, _ ...any) (sql.Result, error) {
	r.statements = append(r.statements, text)
	return driver.RowsAffected(0), nil
}

// TestStatementsAreBounded: the largest batch there is goes out in statements
// that any server accepts, with every row in one of them.
func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	const rows = 500_000 // 1,000 orders of 500 lines
	widest := strings.Repeat("x", stock.MaxIDBytes)
	movements := make([]stock.Movement, rows)
	for i := range movements {
		movements[i] = stock.Movement{Ref: widest, Goods: widest, Kind: stock.KindDeduct, Delta: -1}
	}
	pool := &recorder{}
	l := &Ledger{dialect: mysqlDialect()}
	if err := l.insertMovements(t.Context(), &transaction{pool: pool, st: new(statement)}, movements); err != nil {
		t.Fatal(err)
	}
	const row = 1 << 10 // the widest row is below this
	var written int
	for _, text := range pool.statements {
		if len(text) > maxStatementBytes+row {
			t.Fatalf("a statement of %d bytes", len(text))
		}
		written += strings.Count(text, "(") - 1 // but the list of columns
	}
	if written != rows {
		t.Errorf("%d rows in %d statements, want %d", written, len(pool.statements), rows)
	}
}
