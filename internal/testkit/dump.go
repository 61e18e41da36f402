package testkit

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"orderconsumer/internal/embedded"
	"orderconsumer/internal/stock/ledger"
)

// openMySQL opens the database of a URL; it is closed with the test.
func openMySQL(t testing.TB, target string) *sql.DB {
	t.Helper()
	cfg, err := ledger.Driver(target)
	must(t, err)
	cfg.Params = nil // the ledger's sessions end when nothing is said for a while
	db, err := sql.Open("mysql", cfg.FormatDSN())
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// dump is every row of every table.
func dump(t testing.TB, db *sql.DB) string {
	t.Helper()
	var text strings.Builder
	for _, table := range rowsOf(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema=DATABASE()") {
		for _, row := range rowsOf(t, db, "SELECT * FROM "+table) {
			text.WriteString(table + "\t" + row + "\n")
		}
	}
	return text.String()
}

// rowsOf are the rows of an answer, their columns separated by tabs.
func rowsOf(t testing.TB, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close() //nolint:errcheck // read to its end below
	columns, err := rows.Columns()
	must(t, err)
	var all []string
	for rows.Next() {
		values := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		cells := make([]string, len(values))
		for i := range values {
			cells[i] = string(values[i])
		}
		all = append(all, strings.Join(cells, "\t"))
	}
	must(t, rows.Err())
	return all
}

// dumpFile is every byte of an embedded database.
func dumpFile(t testing.TB, databaseURL string) string {
	t.Helper()
	path := strings.TrimPrefix(databaseURL, embedded.DatabaseScheme)
	var text strings.Builder
	for _, end := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + end)
		if err == nil {
			text.Write(content)
		}
	}
	if text.Len() == 0 {
		t.Fatalf("nothing stands in %s", path)
	}
	return text.String()
}
