package settings

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"orderconsumer/internal/stock"
)

// DatabaseAway is true when the database does not answer, false when it does
// and does not let us in, or when it is not known where it is.
func DatabaseAway(ctx context.Context, err error) bool {
	return ctx.Err() != nil || (errors.Is(err, stock.ErrUnavailable) && !deniedLogin(err) && !deniedDatabase(err) && !DeniedTable(err) &&
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

// DeniedTable is true when the server does not let the user do what is needed
// with the tables.
func DeniedTable(err error) bool {
	return strings.Contains(err.Error(), "Error 1142 ") || strings.Contains(err.Error(), "Error 1143 ")
}

// The servers' error numbers are all that tells these apart.

// deniedLogin is true when the server does not know the user or the password.
func deniedLogin(err error) bool { return strings.Contains(err.Error(), "Error 1045 ") }

// deniedDatabase is true when there is no such database, or not for the user.
func deniedDatabase(err error) bool {
	return strings.Contains(err.Error(), "Error 1049 ") || strings.Contains(err.Error(), "Error 1044 ")
}

// DatabaseFix is the fix for a database that cannot be used.
func DatabaseFix(ctx context.Context, err error) string {
	trust := databaseDoor.trustFix(err)
	switch {
	case trust != "":
		return trust
	case wantsTLS(err):
		return "set DATABASE_CA_FILE to the authority that signed for the server, or ?tls=true in DATABASE_URL"
	case hasNoTLS(err):
		return "turn TLS on at the server (ssl_cert, ssl_key), or remove DATABASE_CA_FILE and tls from DATABASE_URL"
	case DeniedTable(err):
		return GrantOf(err)
	case DatabaseAway(ctx, err):
		return StartServers("DATABASE_URL")
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

// GrantOf is the statement that grants what was denied, or says where to look.
func GrantOf(err error) string {
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

// DatabaseRisk is what of the URL lets others read what is secret, and the fix.
func DatabaseRisk(target string) (what, fix string) {
	u, err := url.Parse(target)
	if err != nil {
		return "", ""
	}
	switch u.Query().Get("tls") {
	case "skip-verify", "preferred":
		return Insecure("DATABASE_")
	default:
		return "", ""
	}
}
