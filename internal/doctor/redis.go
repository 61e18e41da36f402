package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
	"orderconsumer/internal/settings"
)

// Names of the checks of Redis, in their order. There is one of the first for
// each server.
const (
	CheckRedis = "redis"
	CheckLock  = "lock"
)

// redisTimeout bounds one question to Redis: more patient than the lock, which
// is held against a slow server's own check below.
const redisTimeout = 2 * time.Second

// redis examines the servers of the lock.
func (d Doctor) redis(ctx context.Context, c *chart) {
	if d.Settings.Lock.Mode == settings.LockOff {
		c.ok(CheckRedis, "not used (the lock is off)")
		return
	}
	clients, err := d.Settings.Redis.Clients(lock.ClientConfig{Name: "order-consumer-doctor", Timeout: redisTimeout})
	if err != nil {
		c.note(Finding{Name: CheckRedis, Status: StatusFail, What: err.Error(),
			Fix: "set REDIS_URL to one server, or to three or five independent ones, comma-separated, and what goes with it"})
		c.skip("it is not known where Redis is", CheckLock)
		return
	}
	what, fix := d.Settings.Redis.Risk()
	c.exposed(CheckRedis, what, fix)
	up := 0
	for _, client := range clients {
		defer client.Close() //nolint:errcheck // nothing is under way
		if d.redisServer(ctx, client, c) {
			up++
		}
	}
	if up == len(clients) {
		d.lock(ctx, clients, c)
	} else {
		c.skip("not every Redis answers", CheckLock)
	}
	quorum := up > len(clients)/2
	if d.Starting && (quorum || d.Settings.Lock.Mode != settings.LockRequired) {
		c.soften()
	}
}

// soften makes warnings of servers that do not answer: a consumer can do
// without these, and tries them again by itself.
func (c *chart) soften() {
	for i := range c.found {
		if c.found[i].Unreachable {
			c.found[i].Status = StatusWarn
		}
	}
}

// redisServer examines one server and reports whether it answers.
func (d Doctor) redisServer(ctx context.Context, client redis.UniversalClient, c *chart) bool {
	name := CheckRedis
	if one, ok := client.(*redis.Client); ok {
		name += " " + one.Options().Addr
	}
	asked := time.Now()
	told, err := client.Time(ctx).Result()
	trip := time.Since(asked)
	// An answer in words is an answer: a hosted Redis may refuse to tell.
	if err != nil && !refused(err) {
		f := redisAway(ctx, name, err)
		if f.Unreachable && encrypted(client) {
			f.Fix += "; if this is not its port for TLS connect to that, or write redis://"
		}
		c.note(f)
		return false
	}
	if err == nil {
		c.clocks = append(c.clocks, readClock(name, told, asked, trip))
	}
	err = client.Ping(ctx).Err()
	if err != nil {
		f := Finding{Name: name, Status: StatusFail, Unreachable: true,
			What: "does not serve us: " + reason(ctx, err), Fix: "wait until it has started, or look into its log"}
		if denied(err) {
			f.Unreachable, f.Fix = false, redisLogin
		}
		c.note(f)
		return false
	}
	c.ok(name, "version %s", redisVersion(ctx, client))
	return true
}

// redisLogin is the fix for a server that does not know us.
const redisLogin = "set REDIS_URL with the user it asks for (redis://user@host:port/db), and REDIS_PASSWORD_FILE"

// redisAway is the finding of a server that gave no answer, which may be that we
// do not speak in its way.
func redisAway(ctx context.Context, name string, err error) Finding {
	f := Finding{Name: name, Status: StatusFail, Unreachable: true, What: "does not answer: " + reason(ctx, err), Fix: settings.StartServers("REDIS_URL")}
	trust := settings.TrustFix(strings.TrimPrefix(name, CheckRedis+" "), "REDIS_", err)
	switch {
	case trust != "":
		f.Unreachable, f.Fix = false, trust
	case settings.HungUp(err): // so does a proxy whose Redis is away: a consumer goes on without it
		f.Fix = "if it speaks TLS write rediss:// in REDIS_URL, if not look into its log"
	}
	return f
}

// encrypted reports whether a server is spoken to over TLS.
func encrypted(client redis.UniversalClient) bool {
	one, ok := client.(*redis.Client)
	return ok && one.Options().TLSConfig != nil
}

// refused is true for an error that the server itself has sent.
func refused(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// denied is true when the server does not know us: that does not heal by itself.
func denied(err error) bool {
	for _, code := range []string{"NOAUTH", "WRONGPASS", "NOPERM", "ERR invalid password", "ERR AUTH"} {
		if strings.HasPrefix(err.Error(), code) {
			return true
		}
	}
	return false
}

// redisVersion is what the server tells, which it may not.
func redisVersion(ctx context.Context, client redis.UniversalClient) string {
	info, err := client.Info(ctx, "server").Result()
	if err == nil {
		for line := range strings.Lines(info) {
			version, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:")
			if ok {
				return version
			}
		}
	}
	return "not told"
}

// lock examines whether the servers together make a lock.
func (d Doctor) lock(ctx context.Context, clients []redis.UniversalClient, c *chart) {
	warnings, err := lock.Verify(ctx, clients)
	for _, warning := range warnings {
		what, fix, _ := strings.Cut(warning, ": ")
		c.note(Finding{Name: CheckLock, Status: StatusWarn, What: what, Fix: fix})
	}
	switch {
	case err != nil:
		c.note(Finding{Name: CheckLock, Status: StatusFail, Unreachable: errors.Is(err, lock.ErrUnavailable),
			What: err.Error(), Fix: "set REDIS_URL to one master, or to three or five independent ones, comma-separated"})
	case len(warnings) == 0 && len(clients) == 1:
		c.ok(CheckLock, "one master, which evicts nothing")
	case len(warnings) == 0:
		c.ok(CheckLock, "%d independent masters, which evict nothing; %d of them are a quorum", len(clients), len(clients)/2+1)
	}
}
