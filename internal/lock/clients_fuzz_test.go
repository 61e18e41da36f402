package lock_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
)

// FuzzNewClients holds that the URL of a Redis is taken with the settings that a
// lock needs or refused, and that no complaint shows the password.
func FuzzNewClients(f *testing.F) {
	f.Add("redis", "u", "s", "redis:6379/0")
	f.Add("rediss", "", "a/b?c#d@e", "redis/0?max_retries=9")
	f.Add("redis", "redis/", "", "h:6379/0")
	f.Add("redis", "h:1/?read_timeout=1h&", "", "x")
	f.Fuzz(func(t *testing.T, scheme, user, password, after string) {
		text := scheme + "://" + user + ":pA5~" + password + "~5Ap@" + after
		clients, err := lock.NewClients([]string{text}, lock.ClientConfig{})
		if err != nil {
			if strings.Contains(err.Error(), "pA5~") || strings.Contains(err.Error(), "~5Ap") {
				t.Errorf("%q: the complaint shows the password: %v", text, err)
			}
			return
		}
		defer clients[0].Close()
		opt := clients[0].(*redis.Client).Options()
		if opt.Addr == "" || opt.MaxRetries != 0 || opt.ReadTimeout != lock.DefaultClientTimeout || !opt.ContextTimeoutEnabled {
			t.Errorf("%q: address %q, %d retries, read timeout %s", text, opt.Addr, opt.MaxRetries, opt.ReadTimeout)
		}
	})
}
