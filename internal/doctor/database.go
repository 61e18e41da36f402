package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// Names of the checks of the database, in their order.
const (
	CheckDatabase   = "database"
	CheckDurability = "durability"
	CheckMigrations = "migrations"
	CheckPrivileges = "privileges"
)

// database examines the database.
func (d Doctor) database(ctx context.Context, c *chart) {
	target, err := d.Settings.Database.Resolved()
	if err != nil {
		c.note(Finding{Name: CheckDatabase, Status: StatusFail, What: err.Error(), Fix: "set DATABASE_URL and DATABASE_PASSWORD_FILE"})
		c.skip("it is not known where the database is", CheckDurability, CheckMigrations, CheckPrivileges)
		return
	}
	l, err := d.Open(ctx, target)
	if err != nil {
		c.note(Finding{Name: CheckDatabase, Status: StatusFail, What: reason(ctx, err), Fix: settings.DatabaseFix(ctx, err),
			Unreachable: settings.DatabaseAway(ctx, err)})
		c.skip("the database cannot be used", CheckDurability, CheckMigrations, CheckPrivileges)
		return
	}
	defer l.Close() //nolint:errcheck // nothing is under way
	what, fix := settings.DatabaseRisk(target)
	c.exposed(CheckDatabase, what, fix)
	d.databaseSettings(ctx, l, masked(target), c)
	if d.migrations(ctx, l, c) {
		privileges(ctx, l, c)
		return
	}
	c.skip("there are migrations to apply first", CheckPrivileges)
}

// masked is a URL as it may be shown.
func masked(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return "the database"
	}
	return u.Redacted()
}

// databaseSettings examines what the server says about itself.
func (d Doctor) databaseSettings(ctx context.Context, l *ledger.Ledger, name string, c *chart) {
	s, err := l.Settings(ctx)
	if err != nil {
		c.note(Finding{Name: CheckDatabase, Status: StatusFail, Unreachable: settings.DatabaseAway(ctx, err),
			What: reason(ctx, err), Fix: "look into the log of the database server"})
		c.skip("the database does not tell its settings", CheckDurability)
		return
	}
	if s.RoundTrip > 0 {
		c.clocks = append(c.clocks, clockReading{server: CheckDatabase, offset: s.ClockOffset, trip: s.RoundTrip})
	}
	if s.ReadOnly {
		c.note(Finding{Name: CheckDatabase, Status: StatusFail,
			What: fmt.Sprintf("%s (%s %s) is read-only", name, s.Dialect, s.Version),
			Fix:  "set DATABASE_URL to the primary server, or SET GLOBAL read_only = OFF there"})
	} else {
		c.ok(CheckDatabase, "%s %s at %s", s.Dialect, s.Version, name)
	}
	durability(s, c)
}

// durability holds the settings against the promise that a commit which was
// answered stays: an order whose offset is committed does not come again.
func durability(s ledger.Settings, c *chart) {
	var loose, fix []string
	if s.FlushLogAtCommit != "" && s.FlushLogAtCommit != "1" {
		loose = append(loose, "innodb_flush_log_at_trx_commit is "+s.FlushLogAtCommit)
		fix = append(fix, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
	}
	if s.SyncBinlog != "" && s.SyncBinlog != "1" && !strings.EqualFold(s.LogBin, "OFF") {
		loose = append(loose, "sync_binlog is "+s.SyncBinlog)
		fix = append(fix, "SET GLOBAL sync_binlog = 1")
	}
	switch {
	case s.FlushLogAtCommit == "":
		c.ok(CheckDurability, "%s does not tell", s.Dialect)
		return
	case len(loose) == 0:
		c.ok(CheckDurability, "commits are on disk before they are answered")
		return
	}
	c.note(Finding{Name: CheckDurability, Status: StatusWarn,
		What: strings.Join(loose, ", ") + ": a crash of the server's machine loses orders",
		Fix:  strings.Join(fix, "; ") + " (and in the server's configuration)"})
}

// migrations reports whether the tables are up to date.
func (d Doctor) migrations(ctx context.Context, l *ledger.Ledger, c *chart) bool {
	pending, err := l.Pending(ctx)
	switch {
	case err != nil:
		c.note(Finding{Name: CheckMigrations, Status: StatusFail, What: reason(ctx, err), Fix: settings.DatabaseFix(ctx, err),
			Unreachable: settings.DatabaseAway(ctx, err)})
		return false
	case len(pending) > 0 && d.Migrates:
		c.ok(CheckMigrations, "%d to be applied now", len(pending))
		return false
	case len(pending) > 0:
		c.note(Finding{Name: CheckMigrations, Status: StatusFail,
			What: fmt.Sprintf("%d not applied, the first is %s", len(pending), pending[0]),
			Fix:  fmt.Sprintf("run: %s migrate", d.Program)})
		return false
	default:
		c.ok(CheckMigrations, "none to apply")
		return true
	}
}

// privileges tries what a consumer does up to the point where it would change
// something: an order for goods that are not in the catalogue reads orders and
// locks levels, which needs the right to update them, and writes nothing.
func privileges(ctx context.Context, l *ledger.Ledger, c *chart) {
	// 128 random bits: nobody's order, nobody's goods.
	nobody := "doctor-" + rand.Text()
	_, err := l.Apply(ctx, []stock.Request{{
		Order: nobody, Action: stock.Deduct, Lines: []stock.Line{{Goods: nobody, Num: 1}}, Attempt: 1,
	}})
	if err == nil {
		_, err = l.Movements(ctx, nobody)
	}
	const held = "find out who holds the tables: SHOW FULL PROCESSLIST; a consumer waits until they are free"
	switch {
	case err == nil:
		c.ok(CheckPrivileges, "tables can be read, and levels locked")
	case errors.Is(err, stock.ErrBusy): // that passes, and rights are not the reason
		c.note(Finding{Name: CheckPrivileges, Status: StatusWarn, What: "cannot tell now: " + reason(ctx, err), Fix: held})
	case ctx.Err() != nil:
		c.note(Finding{Name: CheckPrivileges, Status: StatusFail, Unreachable: true, What: reason(ctx, err), Fix: held})
	default:
		c.note(Finding{Name: CheckPrivileges, Status: StatusFail, What: reason(ctx, err), Fix: settings.GrantOf(err)})
	}
}
