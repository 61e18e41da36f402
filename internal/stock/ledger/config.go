package ledger

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	defaultPort = "3306"

	// DefaultMaxConns serves three workers, look-ups and the jobs beside them.
	DefaultMaxConns = connsBeside + 3

	// connsBeside are for what is not orders: look-ups, jobs, the readiness probe.
	connsBeside = 6

	// defaultConnectTimeout, defaultReadTimeout and defaultWriteTimeout bound how
	// long a server that hangs can hold a worker; the driver's own default is
	// for ever.
	defaultConnectTimeout = 2 * time.Second
	defaultReadTimeout    = 5 * time.Second
	defaultWriteTimeout   = 5 * time.Second

	// defaultLockWait is how long the server waits for a row. It must be shorter
	// than the read timeout, or the answer "lock wait timeout" never arrives.
	defaultLockWait = 3 * time.Second

	// slowReadTimeout is the patience with a migration.
	slowReadTimeout = 15 * time.Minute

	// slowConns: one holds the migration lock, one migrates.
	slowConns = 2

	// connMaxLifetime lets a moved server be found again.
	connMaxLifetime = 5 * time.Minute
)

// Config says how to reach a MySQL or MariaDB server.
type Config struct {
	// URL is mysql://user:password@host:port/database. Characters that mean
	// something in a URL are percent-encoded. Options may follow as a query:
	// tls=true|skip-verify|preferred, tls-ca=FILE for the authority to trust
	// instead of this system's, tls-cert=FILE and tls-key=FILE for a certificate
	// of our own, and the durations timeout, readTimeout, writeTimeout, lockWait.
	URL string
	// MaxConns bounds the connections; zero means DefaultMaxConns.
	MaxConns int
	// Clock tells the time that is recorded; nil means time.Now.
	Clock func() time.Time
}

// ConnsFor is how many connections an instance with so many workers may want.
func ConnsFor(workers int) int { return max(DefaultMaxConns, workers+connsBeside) }

// urlHint ends every complaint about a URL.
const urlHint = "want mysql://user:password@host:port/database"

// driverConfig turns the URL into the driver's configuration. No error repeats
// the URL or the password.
func (c *Config) driverConfig() (*mysql.Config, error) {
	cfg, err := c.understood()
	// A password with a / or ? that is not encoded ends up among the parts that an
	// error names: then the @ does not stand where it should.
	if err != nil && (strings.Count(c.URL, "@") > 1 || !authorityHasUser(c.URL)) {
		return nil, fmt.Errorf("database URL: not a URL; percent-encode special characters of user and password (@ is %%40, / is %%2F, ? is %%3F); %s", urlHint)
	}
	return cfg, err
}

// Driver is the driver's configuration for the server and the database of a URL,
// as Config.URL has it, for those who talk to them beside the ledger. No error
// repeats the URL or the password.
func Driver(target string) (*mysql.Config, error) { return (&Config{URL: target}).driverConfig() }

// authorityHasUser is true when the only @ stands behind the user, or there is none.
func authorityHasUser(text string) bool {
	u, err := url.Parse(text)
	return !strings.Contains(text, "@") || err != nil || u.User != nil
}

func (c *Config) understood() (*mysql.Config, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		// The parser's own message quotes the whole URL.
		reason := err
		if parse, ok := errors.AsType[*url.Error](err); ok {
			reason = parse.Err
		}
		if strings.Contains(reason.Error(), "invalid port") || strings.Contains(reason.Error(), "invalid userinfo") {
			return nil, fmt.Errorf("database URL: not a URL; percent-encode special characters of the password (@ is %%40, / is %%2F, : is %%3A, # is %%23); %s", urlHint)
		}
		return nil, fmt.Errorf("database URL: not a URL; percent-encode special characters of user and password; %s", urlHint)
	}
	switch {
	case c.URL == "":
		return nil, fmt.Errorf("database URL: empty; set DATABASE_URL, %s", urlHint)
	case u.Scheme != "mysql" && u.Scheme != "mariadb":
		return nil, fmt.Errorf("database URL: scheme %q; %s (the same for MariaDB)", u.Scheme, urlHint)
	case u.Hostname() == "":
		return nil, fmt.Errorf("database URL: no host; %s", urlHint)
	case u.User.Username() == "":
		return nil, fmt.Errorf("database URL: no user; %s", urlHint)
	case u.Fragment != "":
		return nil, fmt.Errorf("database URL: has a # in it; write it as %%23; %s", urlHint)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("database URL: names no database, or more than one; %s", urlHint)
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}

	cfg := mysql.NewConfig()
	cfg.Net = "tcp"
	cfg.Addr = net.JoinHostPort(u.Hostname(), port)
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.DBName = name
	cfg.Loc = time.UTC
	cfg.ParseTime = true
	cfg.InterpolateParams = true // one round trip for each statement with parameters, not three
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = defaultConnectTimeout, defaultReadTimeout, defaultWriteTimeout
	cfg.Logger = &mysql.NopLogger{} // errors are returned
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil { // what it could not read would be left out: tls=true, say
		return nil, errors.New("database URL: its options are not readable: write ?name=value&name=value, percent-encoded")
	}
	lockWait, err := applyOptions(cfg, query, u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if lockWait >= cfg.ReadTimeout {
		return nil, fmt.Errorf("database URL: lockWait %s is not below readTimeout %s: the server's answer would never be read", lockWait, cfg.ReadTimeout)
	}
	cfg.Params = map[string]string{
		"wait_timeout":             strconv.Itoa(silence(cfg)),
		"innodb_lock_wait_timeout": strconv.Itoa(max(1, int(lockWait.Seconds()))),
		// Without strict mode an id that is too long is cut, and two orders become one.
		"sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
	}
	return cfg, nil
}

// silence is how many seconds the server waits for the next word of a session: as
// long as we wait for its. A transaction whose client is frozen, or whose
// machine is gone, holds its rows, and everybody who wants them, until the server
// gives it up; its own default is eight hours.
func silence(cfg *mysql.Config) int { return max(1, int(cfg.ReadTimeout.Seconds())) }

// refused are options of the driver that would make the ledger wrong.
var refused = map[string]string{
	"clientFoundRows": "it changes the row counts that the ledger checks",
	"multiStatements": "it widens what an injected text could do, and nothing here needs it",
}

// applyOptions sets what the URL's query says and returns the row lock wait.
func applyOptions(cfg *mysql.Config, query url.Values, host string) (time.Duration, error) {
	lockWait := defaultLockWait
	durations := map[string]*time.Duration{
		"timeout": &cfg.Timeout, "readTimeout": &cfg.ReadTimeout, "writeTimeout": &cfg.WriteTimeout, "lockWait": &lockWait,
	}
	for option, values := range query {
		value := values[len(values)-1]
		if why, bad := refused[option]; bad {
			return 0, fmt.Errorf("option %s is not allowed: %s; remove it", option, why)
		}
		if target, ok := durations[option]; ok {
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return 0, fmt.Errorf("option %s=%s: want a duration such as 5s", option, value)
			}
			*target = d
			continue
		}
		if !slices.Contains(tlsOptions, option) {
			return 0, fmt.Errorf("unknown option %s: there are tls, tls-ca, tls-cert, tls-key, timeout, readTimeout, writeTimeout and lockWait", option)
		}
	}
	err := applyTLS(cfg, query, host)
	if err != nil {
		return 0, err
	}
	return lockWait, nil
}
