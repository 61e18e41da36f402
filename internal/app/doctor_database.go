package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// Names of the checks of the database, in their order.
const (
	checkDatabase   = "database"
	checkDurability = "durability"
	checkMigrations = "migrations"
	checkPrivileges = "privileges"
)

// database examines the database.
func (d doctor) database(ctx context.Context, c *chart) {
	target, err := d.settings.Database.resolved()
	if err != nil {
		c.note(finding{Name: checkDatabase, Status: statusFail, What: err.Error(), Fix: "set DATABASE_URL and DATABASE_PASSWORD_FILE"})
		c.skip("it is not known where the database is", checkDurability, checkMigrations, checkPrivileges)
		return
	}
	l, err := d.open(ctx, target)
	if err != nil {
		c.note(finding{Name: checkDatabase, Status: statusFail, What: reason(ctx, err), Fix: databaseFix(ctx, err),
			Unreachable: databaseAway(ctx, err)})
		c.skip("the database cannot be used", checkDurability, checkMigrations, checkPrivileges)
		return
	}
	defer l.Close() //nolint:errcheck // nothing is under way
	what, fix := databaseRisk(target)
	c.exposed(checkDatabase, what, fix)
	d.databaseSettings(ctx, l, masked(target), c)
	if d.migrations(ctx, l, c) {
		privileges(ctx, l, c)
		return
	}
	c.skip("there are migrations to apply first", checkPrivileges)
}

// databaseAway is true when the database does not answer, false when it does
// and does not let us in, or when it is not known where it is.
func databaseAway(ctx context.Context, err error) bool {
	return ctx.Err() != nil || (errors.Is(err, stock.ErrUnavailable) && !deniedLogin(err) && !deniedDatabase(err) && !deniedTable(err) &&
		!wantsTLS(err) && !hasNoTLS(err) && databaseDoor.trustFix(err) == "")
}

// databaseDoor is the database where errors of TLS are about it.
var databaseDoor = door{at: "the database", variables: "DATABASE_",
	look: "openssl s_client -starttls mysql -showcerts -connect HOST:PORT"}

// wantsTLS is true when the server serves nobody who does not speak TLS.
func wantsTLS(err error) bool { return strings.Contains(err.Error(), "Error 3159 ") }

// hasNoTLS is true when the server has no TLS to offer. The words are the
// driver's.
func hasNoTLS(err error) bool { return strings.Contains(err.Error(), "server does not support TLS") }

// deniedTable is true when the server does not let the user do what is needed
// with the tables.
func deniedTable(err error) bool {
	return strings.Contains(err.Error(), "Error 1142 ") || strings.Contains(err.Error(), "Error 1143 ")
}

// The servers' error numbers are all that tells these apart.

// deniedLogin is true when the server does not know the user or the password.
func deniedLogin(err error) bool { return strings.Contains(err.Error(), "Error 1045 ") }

// deniedDatabase is true when there is no such database, or not for the user.
func deniedDatabase(err error) bool {
	return strings.Contains(err.Error(), "Error 1049 ") || strings.Contains(err.Error(), "Error 1044 ")
}

// databaseFix is the fix for a database that cannot be used.
func databaseFix(ctx context.Context, err error) string {
	trust := databaseDoor.trustFix(err)
	switch {
	case trust != "":
		return trust
	case wantsTLS(err):
		return "set DATABASE_CA_FILE to the authority that signed for the server, or ?tls=true in DATABASE_URL"
	case hasNoTLS(err):
		return "turn TLS on at the server (ssl_cert, ssl_key), or remove DATABASE_CA_FILE and tls from DATABASE_URL"
	case deniedTable(err):
		return grantOf(err)
	case databaseAway(ctx, err):
		return startServers("DATABASE_URL")
	case deniedLogin(err):
		return "set DATABASE_URL and DATABASE_PASSWORD_FILE to a user and password the server knows; a user that was created with REQUIRE SSL needs DATABASE_CA_FILE, too"
	case deniedDatabase(err):
		return createDatabase(err)
	default:
		return "set DATABASE_URL to mysql://user:password@host:port/database"
	}
}

// lackedDatabase is how the ledger names what it could not open.
var lackedDatabase = regexp.MustCompile(`connect to database (\S+) at \S+ as (\S+):`)

// createDatabase are the statements that make the database of DATABASE_URL.
func createDatabase(err error) string {
	name, user := "DATABASE", "USER"
	if found := lackedDatabase.FindStringSubmatch(err.Error()); found != nil {
		name, user = found[1], found[2]
	}
	return fmt.Sprintf("CREATE DATABASE IF NOT EXISTS `%s`; GRANT ALL ON `%s`.* TO '%s'@'%%'",
		strings.ReplaceAll(name, "`", "``"), strings.ReplaceAll(name, "`", "``"), strings.ReplaceAll(user, "'", "''"))
}

// grants is the fix for a user who may do too little.
const grants = "GRANT SELECT, INSERT, UPDATE, DELETE on the database to the user of DATABASE_URL; docs/security.md has the least that is needed"

// deniedRight is how servers say which right to which table is missing. MariaDB names
// the database of the table too.
var deniedRight = regexp.MustCompile("([A-Z]+(?:, ?[A-Z]+)*)( with locking clause)? command denied to user '([^']*)'@'[^']*' for (?:column '[^']*' in )?table ['`]([^'`]+)['`](?:\\.`([^`]+)`)?")

// grantOf is the statement that grants what was denied, or says where to look.
func grantOf(err error) string {
	found := deniedRight.FindStringSubmatch(err.Error())
	if found == nil {
		return grants
	}
	right, user, database, table := found[1], found[3], found[4], found[5]
	if found[2] != "" {
		right = "SELECT, UPDATE" // a row that is locked is one that may be changed
	}
	if table == "" {
		database, table = "DATABASE", found[4] // as in DATABASE_URL
	}
	return fmt.Sprintf("GRANT %s ON %s.%s TO '%s'@'%%'; docs/security.md has all that is needed", right, database, table, user)
}

// databaseRisk is what of the URL lets others read what is secret, and the fix.
func databaseRisk(target string) (what, fix string) {
	u, err := url.Parse(target)
	if err != nil {
		return "", ""
	}
	switch u.Query().Get("tls") {
	case "skip-verify", "preferred":
		return insecure("DATABASE_")
	default:
		return "", ""
	}
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
func (d doctor) databaseSettings(ctx context.Context, l *ledger.Ledger, name string, c *chart) {
	s, err := l.Settings(ctx)
	if err != nil {
		c.note(finding{Name: checkDatabase, Status: statusFail, Unreachable: databaseAway(ctx, err),
			What: reason(ctx, err), Fix: "look into the log of the database server"})
		c.skip("the database does not tell its settings", checkDurability)
		return
	}
	if s.RoundTrip > 0 {
		c.clocks = append(c.clocks, clockReading{server: checkDatabase, offset: s.ClockOffset, trip: s.RoundTrip})
	}
	if s.ReadOnly {
		c.note(finding{Name: checkDatabase, Status: statusFail,
			What: fmt.Sprintf("%s (%s %s) is read-only", name, s.Dialect, s.Version),
			Fix:  "set DATABASE_URL to the primary server, or SET GLOBAL read_only = OFF there"})
	} else {
		c.ok(checkDatabase, "%s %s at %s", s.Dialect, s.Version, name)
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
		c.ok(checkDurability, "%s does not tell", s.Dialect)
		return
	case len(loose) == 0:
		c.ok(checkDurability, "commits are on disk before they are answered")
		return
	}
	c.note(finding{Name: checkDurability, Status: statusWarn,
		What: strings.Join(loose, ", ") + ": a crash of the server's machine loses orders",
		Fix:  strings.Join(fix, "; ") + " (and in the server's configuration)"})
}

// migrations reports whether the tables are up to date.
func (d doctor) migrations(ctx context.Context, l *ledger.Ledger, c *chart) bool {
	pending, err := l.Pending(ctx)
	switch {
	case err != nil:
		c.note(finding{Name: checkMigrations, Status: statusFail, What: reason(ctx, err), Fix: databaseFix(ctx, err),
			Unreachable: databaseAway(ctx, err)})
		return false
	case len(pending) > 0 && d.migrates:
		c.ok(checkMigrations, "%d to be applied now", len(pending))
		return false
	case len(pending) > 0:
		c.note(finding{Name: checkMigrations, Status: statusFail,
			What: fmt.Sprintf("%d not applied, the first is %s", len(pending), pending[0]),
			Fix:  fmt.Sprintf("run: %s migrate", d.program)})
		return false
	default:
		c.ok(checkMigrations, "none to apply")
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
	if err != nil {
		c.note(finding{Name: checkPrivileges, Status: statusFail, Unreachable: ctx.Err() != nil, What: reason(ctx, err),
			Fix: grantOf(err)})
		return
	}
	c.ok(checkPrivileges, "tables can be read, and levels locked")
}
