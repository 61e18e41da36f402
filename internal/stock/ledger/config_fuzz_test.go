package ledger

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzURL holds that a URL is understood as it was written or refused, and that no
// complaint shows the password, however badly it was written.
func FuzzURL(f *testing.F) {
	f.Add("mysql://", "u", "s", "db:3306/orders?lockWait=2s")
	f.Add("mariadb://", "u", "a/b?c#d@e", "[::1]/orders")
	f.Add("", "u", "s", "tcp(db:3306)/orders")
	f.Add("mysql://", "u@h/db?readTimeout=", "%", "db/orders?tls=x")
	f.Fuzz(func(t *testing.T, scheme, user, password, after string) {
		text := scheme + user + ":pA5~" + password + "~5Ap@" + after
		if strings.Contains(text, "tls-ca") {
			t.Skip() // it reads a file
		}
		cfg := Config{URL: text}
		got, err := cfg.driverConfig()
		if err != nil {
			if strings.Contains(err.Error(), "pA5~") || strings.Contains(err.Error(), "~5Ap") {
				t.Errorf("%q: the complaint shows the password: %v", text, err)
			}
			if !strings.HasPrefix(err.Error(), "database URL: ") {
				t.Errorf("%q: it is not said what is wrong: %v", text, err)
			}
			return
		}
		if got.Addr == "" || got.User == "" || got.DBName == "" || got.ReadTimeout <= 0 || got.MultiStatements || got.ClientFoundRows {
			t.Errorf("%q is %s as %q, database %q", text, got.Addr, got.User, got.DBName)
		}
		again := Config{URL: (&url.URL{Scheme: "mysql", User: url.UserPassword(got.User, got.Passwd), Host: got.Addr, Path: "/" + got.DBName}).String()}
		back, err := again.driverConfig()
		if err != nil || back.Addr != got.Addr || back.User != got.User || back.Passwd != got.Passwd || back.DBName != got.DBName {
			t.Errorf("%q, written again as %q: %v", text, again.URL, err)
		}
	})
}
