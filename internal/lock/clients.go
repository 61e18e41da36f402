package lock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultClientTimeout bounds connecting, reading and writing. It equals
// DefaultTryTimeout: a lock gains nothing from waiting longer.
const DefaultClientTimeout = DefaultTryTimeout

// ClientConfig says how Redis is talked to. The zero value is ready to use.
type ClientConfig struct {
	// Name is shown by CLIENT LIST on the server. Default none.
	Name string

	// Timeout bounds connecting (with TLS and AUTH each), one read and one
	// write. Default DefaultClientTimeout.
	Timeout time.Duration

	// ConnectTimeout bounds TCP and TLS instead. Whose context ends earlier does not
	// wait for it, and the connection is there for the next. Default Timeout.
	ConnectTimeout time.Duration

	// Password replaces the one of every URL, unless it is empty.
	Password string

	// TLS is what rediss:// URLs are spoken to with; nil trusts the authorities
	// of this system. The name of the server is filled in.
	TLS *tls.Config

	// PoolSize is the number of connections kept to one server. Default ten for
	// each CPU.
	PoolSize int

	// Dial replaces the network; nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewClients makes one client for each URL (redis:// or, with TLS, rediss://,
// as in redis://user:password@host:port/db), without connecting. Timeouts and
// retries are set here and override what a URL asks for: go-redis repeats a
// command whose answer was lost, and a repeated acquisition finds its own key
// and calls it taken. No error shows a password. The caller closes the clients.
func NewClients(urls []string, cfg ClientConfig) ([]redis.UniversalClient, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultClientTimeout
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = cfg.Timeout
	}
	if err := checkCount(len(urls)); err != nil {
		return nil, err
	}
	options := make([]*redis.Options, len(urls))
	for i, u := range urls {
		opt, err := redis.ParseURL(u)
		if err != nil {
			return nil, fmt.Errorf("redis URL %d of %d: %w", i+1, len(urls), withoutSecrets(u, err))
		}
		for _, other := range options[:i] {
			if other.Addr == opt.Addr {
				return nil, fmt.Errorf("redis URL %d of %d: %s is given twice: %w", i+1, len(urls), opt.Addr, ErrSameServer)
			}
		}
		if cfg.Password != "" {
			opt.Password = cfg.Password
		}
		opt.TLSConfig = encryption(opt.TLSConfig, cfg.TLS)
		opt.ClientName = cfg.Name
		opt.DisableIdentity = true // CLIENT SETINFO of the library: Redis 7.0 does not know it, and can grant it to nobody
		opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = cfg.ConnectTimeout, cfg.Timeout, cfg.Timeout
		opt.PoolTimeout = cfg.Timeout
		opt.PoolSize = cfg.PoolSize
		opt.Dialer = cfg.Dial
		opt.ContextTimeoutEnabled = true // or a context's deadline is ignored
		opt.MaxRetries = -1              // never: see above
		opt.DialerRetries = 1
		opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		options[i] = opt
	}
	clients := make([]redis.UniversalClient, len(options))
	for i, opt := range options {
		clients[i] = redis.NewClient(opt)
	}
	return clients, nil
}

// encryption is what a server is spoken to with: of is what its URL asks for,
// and nil if that is nothing.
func encryption(of, want *tls.Config) *tls.Config {
	if of == nil || want == nil {
		return of
	}
	cfg := want.Clone()
	cfg.ServerName = of.ServerName
	cfg.InsecureSkipVerify = cfg.InsecureSkipVerify || of.InsecureSkipVerify //nolint:gosec // whoever wrote skip_verify=true wants it
	return cfg
}

// checkCount refuses numbers of servers that cannot form a useful quorum.
func checkCount(servers int) error {
	if servers < 1 || servers%2 == 0 {
		return fmt.Errorf("%d Redis servers: want one, or an odd number of independent ones (two survive no more failures than one)", servers)
	}
	return nil
}

// errMalformed is all that is said of a URL that no part of can be shown.
var errMalformed = errors.New("malformed, want redis://user:password@host:port/db with special characters percent-encoded")

// withoutSecrets takes what may be a password out of a parser's error, which
// quotes the URL or parts of it. A password with a / or ? that is not encoded ends
// up in the path or in the options: then the @ does not stand where it should.
func withoutSecrets(text string, err error) error {
	u, malformed := url.Parse(text)
	if malformed != nil || strings.Count(text, "@") > 1 || u.User == nil && strings.Contains(text, "@") {
		return errMalformed
	}
	return err
}
