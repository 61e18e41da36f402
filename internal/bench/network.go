package bench

import (
	"errors"
	"net/url"
	"time"

	"orderconsumer/internal/faultproxy"
)

// throughProxies are the servers with a network of the given delay, each way,
// before Redis and the database; stop ends it.
func throughProxies(s Servers, delay time.Duration) (_ Servers, stop func(), err error) {
	var proxies []*faultproxy.Proxy
	stop = func() {
		for _, p := range proxies {
			p.Close()
		}
	}
	through := func(target string) (string, error) {
		u, err := url.Parse(target)
		if err != nil {
			return "", errors.New("not a URL")
		}
		host, err := hostOf(target)
		if err != nil {
			return "", err
		}
		p, err := faultproxy.Start(faultproxy.Config{Target: host, Delay: delay})
		if err != nil {
			return "", err
		}
		proxies = append(proxies, p)
		u.Host = p.Addr()
		return u.String(), nil
	}
	for _, target := range []*string{&s.DatabaseURL, &s.RedisURL} {
		*target, err = through(*target)
		if err != nil {
			return s, stop, err
		}
	}
	return s, stop, nil
}
