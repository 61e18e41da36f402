package replaysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock/ledger"
)

// tx is one transaction. The statements are of the kind that MySQL, MariaDB and
// SQLite read alike.
type tx struct {
	ctx context.Context //nolint:containedctx // it lives as long as the transaction
	on  ledger.Tx
}

func (t tx) exec(query string, args ...any) (int64, error) {
	result, err := t.on.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// turn waits until nobody else begins or resumes a replay, and returns a number
// that is larger than all before.
func (t tx) turn() (n int64, err error) {
	if _, err = t.exec("UPDATE replay_turns SET turn=turn+1 WHERE id=1"); err != nil {
		return 0, err
	}
	rows, err := t.on.QueryContext(t.ctx, "SELECT turn FROM replay_turns WHERE id=1")
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// timeFormat is how times are written, in UTC.
const timeFormat = "2006-01-02 15:04:05.000"

func (t tx) insert(o *replay.Object) error {
	ranges, err := json.Marshal(o.Ranges)
	if err != nil {
		return err
	}
	progress, err := json.Marshal(o.Progress)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO replays (replay_id,kind,state,ranges,spec,reason,who,progress,note,holder,fence,beats,beat_at,created_at)"+
		" VALUES (?,?,?,?,?,?,?,?,'',?,?,0,CURRENT_TIMESTAMP,?)",
		[]byte(o.ID), o.Kind, string(o.State), string(ranges), string(o.Spec), o.Reason, o.Who, string(progress),
		o.Holder, o.Fence, o.CreatedAt.UTC().Format(timeFormat))
	return err
}

// refuseShared fails when another replay is running that has a message of o.
func (t tx) refuseShared(o *replay.Object) error {
	running, err := t.list("WHERE state='running'")
	if err != nil {
		return err
	}
	for _, other := range running {
		if mine, theirs, shared := replay.Overlap(o.Ranges, other.Ranges); shared && other.ID != o.ID {
			return &replay.SharedError{Other: other, Mine: mine, Theirs: theirs}
		}
	}
	return nil
}

func (t tx) get(id string) (replay.Object, error) {
	list, err := t.list("WHERE replay_id=?", []byte(id))
	if err != nil {
		return replay.Object{}, err
	}
	if len(list) == 0 {
		return replay.Object{}, replay.ErrNoReplay
	}
	return list[0], nil
}

func (t tx) list(which string, args ...any) ([]replay.Object, error) {
	rows, err := t.on.QueryContext(t.ctx, "SELECT replay_id,kind,state,ranges,spec,reason,who,progress,note,holder,fence,beat_at,created_at,CURRENT_TIMESTAMP FROM replays "+which, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []replay.Object
	for rows.Next() {
		o, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, rows.Err()
}

func scan(rows *sql.Rows) (replay.Object, error) {
	var o replay.Object
	var id, ranges, spec, progress []byte
	var beat, created, now moment
	err := rows.Scan(&id, &o.Kind, &o.State, &ranges, &spec, &o.Reason, &o.Who, &progress, &o.Note, &o.Holder, &o.Fence, &beat, &created, &now)
	if err != nil {
		return o, err
	}
	o.ID, o.Spec, o.CreatedAt = string(id), spec, created.UTC()
	o.Silent = max(0, now.Sub(beat.Time))
	if err := json.Unmarshal(ranges, &o.Ranges); err != nil {
		return o, fmt.Errorf("ranges of replay %s: %w", id, err)
	}
	if err := json.Unmarshal(progress, &o.Progress); err != nil {
		return o, fmt.Errorf("progress of replay %s: %w", id, err)
	}
	return o, nil
}

// moment is a time as any of the drivers hands it out: of an expression, SQLite
// has only the text.
type moment struct{ time.Time }

// Scan implements sql.Scanner.
func (m *moment) Scan(value any) (err error) {
	switch v := value.(type) {
	case time.Time:
		m.Time = v
	case string:
		m.Time, err = time.Parse(time.DateTime, v)
	case []byte:
		m.Time, err = time.Parse(time.DateTime, string(v))
	default:
		err = fmt.Errorf("time column holds a %T", value)
	}
	return err
}
