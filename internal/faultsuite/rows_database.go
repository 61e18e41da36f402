package faultsuite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"orderconsumer/internal/faultproxy"
)

// databaseRows break the database and the way to it.
func databaseRows() []Row {
	return []Row{
		{Number: 30, Name: "kill-database", Short: true, Fault: "kill -9 of MySQL under load, 3 s away, restart",
			Expect: "transactions in doubt are run again; first order within 5 s after the port opens", play: playKillDatabase},
		{Number: 31, Name: "lose-commit-reply", Short: true, Fault: "every tenth COMMIT is done and its answer lost",
			Expect: "run again, found done already", play: loseCommits(faultproxy.LoseReply)},
		{Number: 32, Name: "lose-commit-request", Fault: "every tenth COMMIT is lost on its way", Expect: "run again, done once",
			play: loseCommits(faultproxy.LoseRequest)},
		{Number: 33, Name: "freeze-database", Fault: "SIGSTOP of MySQL for 10 s", Expect: "resumes within 5 s", play: freezeServer("mysql", 10*time.Second)},
		{Number: 34, Name: "kill-connections", Fault: "KILL of the consumers' database connections every 200 ms, 10 s", Expect: "run again",
			play: playKillConnections},
		{Number: 35, Name: "deadlocks", Fault: "side sessions lock hot goods in crossed order, 10 s", Expect: "whole transactions run again, bounded",
			play: playDeadlocks},
		{Number: 36, Name: "row-held", Fault: "a side session holds the hottest goods' row for 10 s", Expect: "lock waits end, run again; no dead letter",
			play: playRowHeld},
		{Number: 37, Name: "read-only", Fault: "super_read_only for 8 s", Expect: "work stands still: nothing goes to retry topics", play: playReadOnly},
		{Number: 37, Name: "no-connections", Fault: "max_connections=1 and every connection killed, 8 s", Expect: "work stands still: nothing goes to retry topics",
			play: playNoConnections},
		{Number: 40, Name: "hanging-statements", Fault: "LOCK TABLES for 15 s: every transaction hangs", Expect: "given up and run again; no consumer hangs",
			play: playHanging},
	}
}

func playKillDatabase(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	return a.databaseAway(ctx, 3*time.Second)
}

// databaseAway kills the database and starts it again after d.
func (a *act) databaseAway(ctx context.Context, d time.Duration) error {
	retried, err := a.retries(ctx)
	if err != nil {
		return err
	}
	err = a.Servers.Kill("mysql")
	if err == nil {
		err = a.wait(ctx, d)
	}
	if err != nil {
		return err
	}
	before, err := a.place.Outcomes(ctx)
	if err == nil {
		err = a.restarted(ctx, "mysql", address(a.DatabaseURL), before)
	}
	return errors.Join(err, a.noFlood(ctx, retried))
}

// retries is how many messages stand in the retry tiers.
func (a *act) retries(ctx context.Context) (int64, error) {
	n := int64(0)
	for _, tier := range a.place.Topics.Tiers {
		ranges, err := a.place.Client.Ranges(ctx, tier.Topic)
		if err != nil {
			return 0, err
		}
		for _, r := range ranges {
			n += r.To
		}
	}
	return n, nil
}

// noFlood fails when retries were published since.
func (a *act) noFlood(ctx context.Context, before int64) error {
	after, err := a.retries(ctx)
	if err != nil {
		return err
	}
	a.observe("%d events went to the retry tiers", after-before)
	if after > before {
		return fmt.Errorf("%d events went to the retry tiers: what keeps all orders from being applied is no reason for one's retry", after-before)
	}
	return nil
}

// isCommit tells whether a packet to MySQL is the query COMMIT.
func isCommit(sent []byte) bool {
	return len(sent) > 5 && sent[4] == 3 && bytes.HasSuffix(sent, []byte("COMMIT"))
}

func loseCommits(verdict faultproxy.Verdict) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		var seen, lost atomic.Int64
		_, err := a.through("database", func(sent []byte) faultproxy.Verdict {
			if !isCommit(sent) || seen.Add(1)%10 != 0 {
				return faultproxy.Pass
			}
			lost.Add(1)
			return verdict
		})
		if err != nil {
			return err
		}
		err = a.begin(ctx, 2)
		if err != nil {
			return err
		}
		err = a.wait(ctx, 10*time.Second)
		a.observe("%d of %d commits lost", lost.Load(), seen.Load())
		if err == nil && lost.Load() < 3 {
			err = fmt.Errorf("void: only %d commits were lost", lost.Load())
		}
		return err
	}
}

// schema is the name of the row's database.
func (a *act) schema() string {
	_, name, _ := strings.Cut(strings.TrimPrefix(a.place.DatabaseURL, "mysql://"), "/")
	return name
}

// killConnections kills all connections to the row's database.
func (a *act) killConnections(ctx context.Context) (int, error) {
	rows, err := a.admin.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE db = ?", a.schema())
	if err != nil {
		return 0, fmt.Errorf("list connections: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err is asked
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, fmt.Errorf("list connections: %w", err)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		_, _ = a.admin.ExecContext(ctx, fmt.Sprintf("KILL %d", id)) // it may have ended by itself
	}
	return len(ids), rows.Err()
}

func playKillConnections(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	killed := 0
	for range 50 {
		n, err := a.killConnections(ctx)
		if err != nil {
			return err
		}
		killed += n
		if err = a.wait(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	a.observe("%d connections killed", killed)
	if killed == 0 {
		return errors.New("void: there was no connection to kill")
	}
	return nil
}

// aside runs fn in a transaction of a session beside the consumers, and rolls it
// back.
func (a *act) aside(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := a.admin.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin beside the consumers: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // a deadlock has rolled it back already
	return fn(tx)
}

// hold locks the row of one goods.
func (a *act) hold(ctx context.Context, tx *sql.Tx, goods int) error {
	statement := fmt.Sprintf("SELECT available FROM %s.stock WHERE goods_id = 'goods-%d' FOR UPDATE", a.schema(), goods)
	var n int64
	return tx.QueryRowContext(ctx, statement).Scan(&n)
}

func (a *act) deadlocks(ctx context.Context) (n int64, err error) {
	err = a.admin.QueryRowContext(ctx, "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'").Scan(&n)
	return n, err
}

func playDeadlocks(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	before, err := a.deadlocks(ctx)
	if err != nil {
		return fmt.Errorf("count deadlocks: %w", err)
	}
	for began := time.Now(); time.Since(began) < 10*time.Second && ctx.Err() == nil; {
		// Consumers lock in the order of the ids: this is the other way round. An
		// error is a deadlock or a lock wait, which is what is wanted.
		_ = a.aside(ctx, func(tx *sql.Tx) error {
			for _, goods := range []int{9, 5, 3, 2, 1} {
				if err := a.hold(ctx, tx, goods); err != nil {
					return err
				}
			}
			return nil
		})
	}
	after, err := a.deadlocks(ctx)
	a.observe("%d deadlocks", after-before)
	if err == nil && after == before {
		err = errors.New("void: there was no deadlock")
	}
	return err
}

func playRowHeld(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	return a.aside(ctx, func(tx *sql.Tx) error {
		if err := a.hold(ctx, tx, 1); err != nil {
			return fmt.Errorf("hold a row: %w", err)
		}
		return a.wait(ctx, 10*time.Second)
	})
}

// standStill sets something on the server, looks that nothing goes to the retry
// tiers, and undoes it.
func (a *act) standStill(ctx context.Context, do, undo func(context.Context) error) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	retried, err := a.retries(ctx)
	if err != nil {
		return err
	}
	err = do(ctx)
	if err == nil {
		err = a.wait(ctx, 8*time.Second)
	}
	before, e := a.place.Outcomes(ctx)
	err = errors.Join(err, e, undo(context.WithoutCancel(ctx)))
	if err != nil {
		return err
	}
	return errors.Join(a.resumed(ctx, "first outcome afterwards", before, time.Now()), a.noFlood(ctx, retried))
}

func (a *act) set(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := a.admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func playReadOnly(ctx context.Context, a *act) error {
	return a.standStill(ctx,
		func(ctx context.Context) error { return a.set(ctx, "SET GLOBAL super_read_only = ON") },
		func(ctx context.Context) error {
			return a.set(ctx, "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
		})
}

func playNoConnections(ctx context.Context, a *act) error {
	return a.standStill(ctx,
		func(ctx context.Context) error {
			err := a.set(ctx, "SET GLOBAL max_connections = 1")
			if err == nil {
				_, err = a.killConnections(ctx)
			}
			return err
		},
		func(ctx context.Context) error { return a.set(ctx, "SET GLOBAL max_connections = 300") })
}

func playHanging(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	conn, err := a.admin.Conn(ctx)
	if err != nil {
		return fmt.Errorf("a session beside the consumers: %w", err)
	}
	defer conn.Close() //nolint:errcheck // its locks end with it
	if _, err = conn.ExecContext(ctx, "LOCK TABLES "+a.schema()+".stock WRITE"); err != nil {
		return fmt.Errorf("lock the table: %w", err)
	}
	err = a.wait(ctx, 15*time.Second)
	before, e := a.place.Outcomes(ctx)
	_, unlock := conn.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES")
	err = errors.Join(err, e, unlock)
	if err != nil {
		return err
	}
	return a.resumed(ctx, "first outcome afterwards", before, time.Now())
}
