package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestURL(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: "mysql://shop%40eu:p%40ss%2Fw%3Aord@db.example:3307/orders?readTimeout=7s&tls=skip-verify"}
	got, err := cfg.driverConfig()
	if err != nil {
		t.Fatal(err)
	}
	if got.User != "shop@eu" || got.Passwd != "p@ss/w:ord" || got.Addr != "db.example:3307" || got.DBName != "orders" {
		t.Errorf("user %q password %q address %q database %q", got.User, got.Passwd, got.Addr, got.DBName)
	}
	if got.ReadTimeout != 7*time.Second || got.Timeout != defaultConnectTimeout || got.WriteTimeout != defaultWriteTimeout || got.TLSConfig != "skip-verify" {
		t.Errorf("timeouts %s %s %s, tls %q", got.ReadTimeout, got.Timeout, got.WriteTimeout, got.TLSConfig)
	}
	if got.ClientFoundRows || got.MultiStatements || !got.InterpolateParams || !got.ParseTime || got.Loc != time.UTC {
		t.Errorf("driver settings the ledger relies on: %+v", got)
	}
	if got.Params["innodb_lock_wait_timeout"] != "3" || got.Params["wait_timeout"] != "7" || !strings.Contains(got.Params["sql_mode"], "STRICT_ALL_TABLES") {
		t.Errorf("session settings: %v", got.Params)
	}
}

func TestURLDefaultPortAndIPv6(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"mysql://u:p@db/orders":         "db:3306",
		"mariadb://u@[::1]/orders":      "[::1]:3306",
		"mysql://u:p@[::1]:3307/orders": "[::1]:3307",
	} {
		cfg := Config{URL: url}
		got, err := cfg.driverConfig()
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if got.Addr != want {
			t.Errorf("%s: address %q, want %q", url, got.Addr, want)
		}
	}
}

func TestURLErrorsSayTheNextStepAndNoPassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"": "DATABASE_URL",
		"orders:" + secret + "@tcp(db:3306)/orders":          "want mysql://",
		"postgres://u:" + secret + "@db/orders":              `scheme "postgres"`,
		"mysql://u:" + secret + "@/orders":                   "no host",
		"mysql://:" + secret + "@db/orders":                  "no user",
		"mysql://db/orders":                                  "no user",
		"mysql://u:" + secret + "@db":                        "names no database",
		"mysql://u:" + secret + "@db/a/b":                    "more than one",
		"mysql://u:" + secret + "/x@db/orders":               "percent-encode",
		"mysql://u:" + secret + "%zz@db/orders":              "percent-encode",
		"mysql://u:" + secret + "@db/orders#x":               "%23",
		"mysql://u:" + secret + "@db:port/orders":            "percent-encode",
		"mysql://u:" + secret + "@db/o?tls=on":               "want true",
		"mysql://u:" + secret + "@db/o?tls=true;timeout=5s":  "options are not readable",
		"mysql://u:" + secret + "@db/o?tls=true&tls-ca=%zz":  "options are not readable",
		"mysql://u:" + secret + "@db/o?tls-ca=":              "names no file",
		"mysql://u:" + secret + "@db/o?timeout=5":            "such as 5s",
		"mysql://u:" + secret + "@db/o?colour=red":           "unknown option colour",
		"mysql://u:" + secret + "@db/o?lockWait=10s":         "not below readTimeout",
		"mysql://u:" + secret + "@db/o?clientFoundRows=true": "remove it",
		"mysql://u:" + secret + "@db/o?multiStatements=true": "remove it",
		"mysql://u:" + secret + "@db/o?tls-ca=/nowhere.pem":  "no such file",
		"mysql://u:" + secret + "@db/o?tls-ca=" + notPEM:     "no certificate",
	} {
		cfg := Config{URL: url}
		_, err := cfg.driverConfig()
		if err == nil {
			t.Errorf("%q is accepted", url)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want it to say %q", url, err, want)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the error tells the password: %v", url, err)
		}
	}
}
