package settings

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"orderconsumer/internal/stock"
)

func TestDatabaseThatDoesNotLetUsIn(t *testing.T) {
	t.Parallel()
	answered := func(text string) error { return fmt.Errorf("%w: %s", stock.ErrUnavailable, text) }
	for _, tt := range []struct {
		name string
		err  error
		away bool
		fix  string
	}{
		{name: "it is not there", err: answered("dial tcp: connection refused"), away: true, fix: "scripts/servers up"},
		{name: "it does not know the password", err: answered("Error 1045 (28000): Access denied"), fix: "DATABASE_PASSWORD_FILE"},
		{name: "it has no such database", err: answered("Error 1049 (42000): Unknown database"), fix: "CREATE DATABASE"},
		{name: "it has no such database, and says whose it is", fix: "CREATE DATABASE IF NOT EXISTS `shop`; GRANT ALL ON `shop`.* TO 'bob'@'%'",
			err: answered("connect to database shop at db:3306 as bob: Error 1049 (42000): Unknown database 'shop'")},
		{name: "the database is not for us", err: answered("Error 1044 (42000): Access denied"), fix: "GRANT"},
		{name: "a right to a table is missing, says MariaDB", fix: "GRANT INSERT ON shop.orders TO 'bob'@'%'; docs/security.md",
			err: answered("insert orders 1 of 1: Error 1142 (42000): INSERT command denied to user 'bob'@'127.0.0.1' for table `shop`.`orders`")},
		{name: "a right to a table is missing, says MySQL", fix: "GRANT SELECT, UPDATE ON DATABASE.stock TO 'bob'@'%'; docs/security.md",
			err: answered("lock levels of 1 goods: Error 1142 (42000): SELECT with locking clause command denied to user 'bob'@'127.0.0.1' for table 'stock'")},
		{name: "a right to a column is missing", fix: "GRANT UPDATE ON DATABASE.stock TO 'bob'@'%'",
			err: answered("Error 1143 (42000): UPDATE command denied to user 'bob'@'%' for column 'available' in table 'stock'")},
		{name: "a right is missing, in words unheard of", fix: "GRANT SELECT, INSERT", err: answered("Error 1142 (42000): no")},
		{name: "the URL is none", err: errors.New("database URL: empty"), fix: "set DATABASE_URL to mysql://"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := DatabaseAway(t.Context(), tt.err); got != tt.away {
				t.Errorf("away: %v", got)
			}
			if got := DatabaseFix(t.Context(), tt.err); !strings.Contains(got, tt.fix) {
				t.Errorf("fix %q, want %q in it", got, tt.fix)
			}
		})
	}
}
