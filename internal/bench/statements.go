package bench

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// Statement is what the database spent on one kind of statement, as it tells
// itself. It does not tell what a statement cost after its answer: purging,
// flushing, the binary log's disk.
type Statement struct {
	Text  string        `json:"text"`
	Calls int64         `json:"calls"`
	Took  time.Duration `json:"took_ns"`
	Locks time.Duration `json:"locks_ns"`
}

// shownStatements is how many kinds are reported, the most expensive first.
const shownStatements = 8

// forgetStatements empties the server's list of kinds of statements, which has
// room for a bounded number of kinds and databases. It is everybody's list:
// this is done only when statements are asked for. A server that has none
// will not tell any either.
func (w *World) forgetStatements(ctx context.Context) {
	_, _ = w.admin.ExecContext(ctx, "TRUNCATE TABLE performance_schema.events_statements_summary_by_digest")
}

// statements are those that were run in one database. A server that does not
// tell has none: they explain a figure and are not one.
func (w *World) statements(ctx context.Context, target string) []Statement {
	u, err := url.Parse(target)
	if err != nil {
		return nil
	}
	const picosecond = 1000 // of them are a nanosecond
	rows, err := w.admin.QueryContext(ctx, `SELECT COALESCE(DIGEST_TEXT,''), COUNT_STAR, SUM_TIMER_WAIT, SUM_LOCK_TIME
		FROM performance_schema.events_statements_summary_by_digest
		WHERE SCHEMA_NAME = ? ORDER BY SUM_TIMER_WAIT DESC LIMIT ?`, strings.TrimPrefix(u.Path, "/"), shownStatements)
	if err != nil {
		return nil
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var list []Statement
	for rows.Next() {
		var s Statement
		var took, locks uint64
		if err := rows.Scan(&s.Text, &s.Calls, &took, &locks); err != nil {
			return nil
		}
		s.Took, s.Locks = time.Duration(took/picosecond), time.Duration(locks/picosecond)
		list = append(list, s)
	}
	if rows.Err() != nil {
		return nil
	}
	return list
}
