package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/stocktest"
)

// gate is a clock that stops the first transaction where it decides: after its
// locks, before its writes.
type gate struct {
	once    sync.Once
	reached chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) clock() time.Time {
	g.once.Do(func() {
		g.reached <- struct{}{}
		<-g.open
	})
	return time.Now()
}

// openGated opens a second ledger on a database whose tables are made.
func openGated(t *testing.T, url string) (*ledger.Ledger, *gate) {
	t.Helper()
	g := newGate()
	l, err := ledger.Open(t.Context(), ledger.Config{URL: url, Clock: g.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, g
}

func deduct(order string, lines ...stock.Line) []stock.Request {
	return []stock.Request{{Order: order, Action: stock.Deduct, Lines: lines, Attempt: 1, Origin: stock.Origin{Topic: "orders"}}}
}

func line(goods string, num int64) stock.Line { return stock.Line{Goods: goods, Num: num} }

// stocked makes some of each goods available.
func stocked(t testing.TB, l *ledger.Ledger, available int64, goods ...string) {
	t.Helper()
	var lines []stock.Line
	for _, g := range goods {
		lines = append(lines, line(g, available))
	}
	if _, err := l.Import(t.Context(), ledger.Import{Mode: stock.Set, Lines: lines}); err != nil {
		t.Fatal(err)
	}
}

// wantLevel also audits: a level may be right by two wrongs.
func wantLevel(t *testing.T, l *ledger.Ledger, goods string, want int64) {
	t.Helper()
	level, err := l.Get(t.Context(), goods)
	if err != nil {
		t.Fatal(err)
	}
	if level.Available != want {
		t.Errorf("%d of %s available, want %d", level.Available, goods, want)
	}
	wantClean(t, l)
}

// wantClean audits.
func wantClean(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	summary, err := l.Audit(t.Context(), stock.AuditOptions{Report: func(f stock.Finding) { t.Errorf("audit: %+v", f) }})
	if err != nil {
		t.Fatal(err)
	}
	if !summary.Clean() {
		t.Errorf("%d findings", summary.Findings)
	}
}

func wantVerdict(t *testing.T, l *ledger.Ledger, reqs []stock.Request, want stock.Verdict) {
	t.Helper()
	got, err := l.Apply(t.Context(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Verdict != want {
		t.Errorf("verdict %d, want %d", got[0].Verdict, want)
	}
}

func TestOnlyTheGoodsOfTheBatchAreLocked(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		// Four of five: a scan looks cheaper than looking them up.
		stocked(t, l, 10, "a", "b", "c", "d", "e")
		lines := []stock.Line{line("a", 1), line("b", 1), line("d", 1), line("e", 1)}
		gated, g := openGated(t, url)
		done := make(chan error)
		go func() {
			_, err := gated.Apply(t.Context(), deduct("1", lines...))
			done <- err
		}()
		<-g.reached

		side := stocktest.Admin(t, url)
		// The other way round too: a scan that gives back what it does not want still
		// waits for every row it passes.
		other, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Rollback() }()
		for goods, free := range map[string]bool{"a": false, "b": false, "c": true, "d": false, "e": false} {
			var available int64
			err := other.QueryRowContext(t.Context(), "SELECT available FROM stock WHERE goods_id=? FOR UPDATE NOWAIT", goods).Scan(&available)
			if free && err != nil {
				t.Errorf("goods %s is locked by a batch without it: %v", goods, err)
			}
			if !free && err == nil {
				t.Errorf("goods %s of the batch is not locked", goods)
			}
		}
		close(g.open)
		if err := <-done; err != nil {
			t.Error(err)
		}
		// c is held by the other one still.
		wantVerdict(t, l, deduct("2", lines...), stock.Applied)
		wantLevel(t, l, "b", 8)
	})
}

// TestLockWaitIsBusy also for an order that is known, which needs no lock: the first time it is
// taken for new, the second time it is answered while its goods are still held.
func TestLockWaitIsBusy(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=1s")
		stocked(t, l, 10, "a", "b")
		known := deduct("0", line("b", 1))
		wantVerdict(t, l, known, stock.Applied)
		side := stocktest.Admin(t, url)
		tx, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "UPDATE stock SET updated_at=updated_at WHERE goods_id='b'"); err != nil {
			t.Fatal(err)
		}
		reqs := deduct("1", line("a", 1), line("b", 1))
		if _, err := l.Apply(t.Context(), reqs); !errors.Is(err, stock.ErrBusy) {
			t.Errorf("apply while b is held: %v, want ErrBusy", err)
		}
		wantVerdict(t, l, known, stock.Known)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, l, reqs, stock.Applied)
		wantLevel(t, l, "b", 8)
	})
}

// TestDeadlockIsBusy: the side session has inserted the order, the ledger has
// locked the goods; each then wants what the other has. The side session has
// changed more rows, so the server lets it live.
func TestDeadlockIsBusy(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 10, "a")
		gated, g := openGated(t, url)

		side := stocktest.Admin(t, url)
		tx, err := side.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for i := range 500 {
			values = append(values, fmt.Sprintf("('%d','voided','',0,0,1,NOW())", i))
		}
		if _, err := tx.ExecContext(t.Context(), "INSERT INTO orders(order_id,state,origin_topic,origin_partition,origin_offset,attempts,decided_at)VALUES"+strings.Join(values, ",")); err != nil {
			t.Fatal(err)
		}
		reqs := deduct("1", line("a", 1))
		applied, locked := make(chan error), make(chan error)
		go func() {
			_, err := gated.Apply(t.Context(), reqs)
			applied <- err
		}()
		<-g.reached
		go func() {
			_, err := tx.ExecContext(t.Context(), "UPDATE stock SET updated_at=updated_at WHERE goods_id='a'")
			locked <- err
		}()
		close(g.open)
		if err := <-applied; !errors.Is(err, stock.ErrBusy) || !strings.Contains(err.Error(), "1213") {
			t.Errorf("apply in a deadlock: %v, want ErrBusy by 1213", err)
		}
		if err := <-locked; err != nil {
			t.Error(err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, l, reqs, stock.Applied)
		wantLevel(t, l, "a", 9)
	})
}

// TestAnotherInstanceFirst: it decides an order between our look-up of it and our insert. A batch
// that has looked all of its orders up is busy, and finds the order when it comes again; one that has
// not does that by itself.
func TestAnotherInstanceFirst(t *testing.T) {
	t.Parallel()
	for name, looks := range map[string]bool{"after a look": true, "without a look": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onServers(t, func(t *testing.T, url string) {
				l := openMigrated(t, url)
				stocked(t, l, 0, "a", "b")
				gated, g := openGated(t, url)
				if looks {
					gated.LookNext()
				}
				reqs := deduct("1", line("a", 1)) // rejected: no level changes, only the order's key collides
				done := make(chan answer, 1)
				go func() {
					decisions, err := gated.Apply(t.Context(), []stock.Request{{Order: "1", Action: stock.Release, Attempt: 1}})
					done <- answer{decisions, err}
				}()
				<-g.reached
				wantVerdict(t, l, reqs, stock.Applied)
				close(g.open)
				switch got := <-done; {
				case looks && !errors.Is(got.err, stock.ErrBusy):
					t.Errorf("apply after another instance was first: %v, want ErrBusy", got.err)
				case !looks:
					wantStates(t, got, stock.Rejected)
				}
				wantVerdict(t, l, reqs, stock.Known)
				wantLevel(t, l, "a", 0)
			})
		})
	}
}

// TestGoodsCreatedTwiceAtOnce: both find no level, one creates it, and the other
// must add to that instead of writing over it.
func TestGoodsCreatedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		gated, g := openGated(t, url)
		done := make(chan error)
		go func() {
			_, err := gated.Add(t.Context(), "", line("a", 5))
			done <- err
		}()
		<-g.reached
		if _, err := l.Add(t.Context(), "", line("a", 2)); err != nil {
			t.Error(err)
		}
		close(g.open)
		if err := <-done; err != nil {
			t.Errorf("add after another instance created the goods: %v", err)
		}
		wantLevel(t, l, "a", 7)
	})
}

// TestKnownOrdersCommitNothing: a replay of what is known needs no commit, so
// there is none to wait for and none to lose.
func TestKnownOrdersCommitNothing(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		direct := openMigrated(t, url)
		stocked(t, direct, 10, "a")
		proxy := stocktest.NewProxy(t, url)
		l := open(t, proxy.URL)
		reqs := deduct("1", line("a", 3))
		wantVerdict(t, l, reqs, stock.Applied)
		proxy.CutNext(stocktest.BeforeCommit)
		wantVerdict(t, l, reqs, stock.Known)
		if proxy.Cuts() != 0 {
			t.Errorf("%d commits for known orders", proxy.Cuts())
		}
	})
}

func TestCommitCut(t *testing.T) {
	t.Parallel()
	cuts := map[string]struct {
		cut   stocktest.Cut
		again stock.Verdict
	}{
		"before it reached the server": {stocktest.BeforeCommit, stock.Applied},
		"after it was done":            {stocktest.AfterCommit, stock.Known},
	}
	for name, c := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onServers(t, func(t *testing.T, url string) {
				direct := openMigrated(t, url)
				stocked(t, direct, 10, "a")
				proxy := stocktest.NewProxy(t, url)
				l := open(t, proxy.URL)
				var told []stock.Level
				l.OnChange(func(levels []stock.Level) { told = append(told, levels...) })
				reqs := deduct("1", line("a", 3))

				proxy.CutNext(c.cut)
				if _, err := l.Apply(t.Context(), reqs); !errors.Is(err, stock.ErrUnknownCommit) {
					t.Errorf("apply: %v, want ErrUnknownCommit", err)
				}
				wantLooks(t, l, ledger.LookAfter)
				if len(told) != 1 || told[0].Goods != "a" || told[0].Version != 0 {
					t.Errorf("told %+v, want that a may have changed", told)
				}
				if proxy.Cuts() != 1 {
					t.Fatalf("%d commits were cut, want 1", proxy.Cuts())
				}
				wantVerdict(t, l, reqs, c.again)
				wantLevel(t, direct, "a", 7)

				// A restock asks again by itself.
				proxy.CutNext(c.cut)
				if _, err := l.Add(t.Context(), "", line("a", 5)); err != nil {
					t.Error(err)
				}
				if proxy.Cuts() != 2 {
					t.Fatalf("%d commits were cut, want 2", proxy.Cuts())
				}
				wantLevel(t, direct, "a", 12)
			})
		})
	}
}

// TestRefusedCommitIsNotCommittedLater: a connection on which the transaction is
// still open must not come back from the pool, whose next BEGIN would commit it.
func TestRefusedCommitIsNotCommittedLater(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		direct := openMigrated(t, url)
		stocked(t, direct, 10, "a", "b")
		proxy := stocktest.NewProxy(t, url)
		l := open(t, proxy.URL)
		proxy.CutNext(stocktest.RefuseCommit)
		if _, err := l.Apply(t.Context(), deduct("1", line("a", 1))); !errors.Is(err, stock.ErrUnknownCommit) || proxy.Cuts() != 1 {
			t.Errorf("apply: %v, want ErrUnknownCommit", err)
		}
		wantVerdict(t, l, deduct("2", line("b", 1)), stock.Applied)
		if _, err := direct.Lookup(t.Context(), "1"); !errors.Is(err, stock.ErrNotFound) {
			t.Errorf("look up the refused order: %v, want ErrNotFound", err)
		}
		wantVerdict(t, l, deduct("1", line("a", 1)), stock.Applied)
		wantLevel(t, direct, "a", 9)
	})
}

// killAll ends every other connection to the database, as a restart would.
func killAll(t *testing.T, side *sql.DB) (killed int) {
	t.Helper()
	rows, err := side.QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE db=DATABASE() AND id<>CONNECTION_ID()")
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := side.ExecContext(t.Context(), fmt.Sprint("KILL ", id)); err == nil {
			killed++
		}
	}
	return killed
}

func TestConnectionKilledInsideTheTransaction(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 10, "a")
		gated, g := openGated(t, url)
		reqs := deduct("1", line("a", 1))
		done := make(chan error)
		go func() {
			_, err := gated.Apply(t.Context(), reqs)
			done <- err
		}()
		<-g.reached
		if killAll(t, stocktest.Admin(t, url)) == 0 {
			t.Fatal("no connection to kill")
		}
		close(g.open)
		if err := <-done; !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("apply on a killed connection: %v, want ErrUnavailable", err)
		}
		wantVerdict(t, l, reqs, stock.Applied)
		wantLevel(t, l, "a", 9)
	})
}

func TestStaleConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 10, "a")
		// Fill the pool: as many connections as there are transactions at once.
		errs := make(chan error)
		const many = 12
		for i := range many {
			go func() {
				_, err := l.Apply(t.Context(), []stock.Request{{Order: fmt.Sprint("v", i), Action: stock.Release, Attempt: 1}})
				errs <- err
			}()
		}
		for range many {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if killed := killAll(t, stocktest.Admin(t, url)); killed < 2 {
			t.Fatalf("%d connections killed, want several", killed)
		}
		wantVerdict(t, l, deduct("1", line("a", 1)), stock.Applied)
	})
}

// TestSilentClientIsGivenUp: an instance is frozen, or its machine is gone, after
// it has locked its rows. The server waits for it no longer than it would wait for
// the server; what it says when it comes back is heard by nobody.
func TestSilentClientIsGivenUp(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=1s")
		stocked(t, l, 10, "a")
		silent, g := openGated(t, url+"?lockWait=1s&readTimeout=2s")
		done := make(chan error)
		go func() {
			_, err := silent.Apply(t.Context(), deduct("1", line("a", 1)))
			done <- err
		}()
		<-g.reached
		var err error
		for range 10 { // a second each
			_, err = l.Apply(t.Context(), deduct("2", line("a", 1)))
			if !errors.Is(err, stock.ErrBusy) {
				break
			}
		}
		if err != nil {
			t.Errorf("the goods of a silent client are still locked: %v", err)
		}
		close(g.open)
		if err := <-done; !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("the silent client's transaction: %v, want ErrUnavailable", err)
		}
		wantVerdict(t, silent, deduct("1", line("a", 1)), stock.Applied)
		wantLevel(t, l, "a", 8)
	})
}

// TestSnapshotMayBeSilent: a plan reads the log between two questions.
func TestSnapshotMayBeSilent(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url+"?lockWait=1s&readTimeout=2s")
		stocked(t, l, 10, "a")
		side := stocktest.Admin(t, url)
		err := l.Snapshot(t.Context(), func(view *ledger.Snapshot) error {
			before, err := view.Levels(t.Context(), []string{"a"})
			if err != nil {
				return err
			}
			if _, err := side.ExecContext(t.Context(), "DO SLEEP(4)"); err != nil { // twice as long as others may
				return err
			}
			after, err := view.Levels(t.Context(), []string{"a"})
			if err == nil && before["a"] != after["a"] {
				t.Errorf("levels %+v and %+v in one snapshot", before, after)
			}
			return err
		})
		if err != nil {
			t.Errorf("a snapshot that was silent: %v", err)
		}
	})
}

func TestServerGoneIsUnavailable(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		direct := openMigrated(t, url)
		stocked(t, direct, 10, "a")
		proxy := stocktest.NewProxy(t, url)
		l := open(t, proxy.URL)
		proxy.Close()
		reqs := deduct("1", line("a", 1))
		if _, err := l.Apply(t.Context(), reqs); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("apply without a server: %v, want ErrUnavailable", err)
		}
		if err := l.Ping(t.Context()); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("ping without a server: %v, want ErrUnavailable", err)
		}
		if _, err := l.Get(t.Context(), "a"); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("get without a server: %v, want ErrUnavailable", err)
		}
		if _, err := ledger.Open(t.Context(), ledger.Config{URL: proxy.URL}); !errors.Is(err, stock.ErrUnavailable) {
			t.Errorf("open without a server: %v, want ErrUnavailable", err)
		}
	})
}

func TestPanicRollsBackAndGoesOn(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 10, "a")
		broken, err := ledger.Open(t.Context(), ledger.Config{URL: url, MaxConns: 1, Clock: func() time.Time { panic("broken clock") }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = broken.Close() })
		for range 3 { // a connection that was not given back would hang the second
			func() {
				defer func() {
					if got := recover(); got != "broken clock" {
						t.Errorf("recovered %v", got)
					}
				}()
				_, err := broken.Apply(t.Context(), deduct("1", line("a", 1)))
				t.Errorf("apply returned %v", err)
			}()
		}
		wantVerdict(t, l, deduct("1", line("a", 1)), stock.Applied) // no lock was left behind
		wantLevel(t, l, "a", 9)
	})
}

func TestContextEndsInsideTheTransaction(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, url string) {
		l := openMigrated(t, url)
		stocked(t, l, 10, "a")
		gated, g := openGated(t, url)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := gated.Apply(ctx, deduct("1", line("a", 1)))
			done <- err
		}()
		<-g.reached
		cancel()
		close(g.open)
		if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, stock.ErrUnknownCommit) {
			t.Errorf("apply: %v, want a cancellation", err)
		}
		wantVerdict(t, l, deduct("1", line("a", 1)), stock.Applied)
		wantLevel(t, l, "a", 9)
	})
}
