package lock_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"orderconsumer/internal/lock"
)

func TestNewClients(t *testing.T) {
	t.Parallel()

	t.Run("sets what a lock depends on, whatever the URL says", func(t *testing.T) {
		t.Parallel()
		clients, err := lock.NewClients(
			[]string{"redis://user:secret@example.com:7000/3?max_retries=5&read_timeout=1h"},
			lock.ClientConfig{Name: "consumer", PoolSize: 7})
		if err != nil {
			t.Fatal(err)
		}
		defer clients[0].Close()
		opt := clients[0].(*redis.Client).Options()
		for what, ok := range map[string]bool{
			"address":          opt.Addr == "example.com:7000" && opt.DB == 3,
			"credentials":      opt.Username == "user" && opt.Password == "secret",
			"name":             opt.ClientName == "consumer",
			"pool size":        opt.PoolSize == 7,
			"deadlines":        opt.ContextTimeoutEnabled,
			"no retries":       opt.MaxRetries == 0 && opt.DialerRetries == 1,
			"timeouts":         opt.DialTimeout == 300*time.Millisecond && opt.ReadTimeout == opt.DialTimeout && opt.WriteTimeout == opt.DialTimeout,
			"no notifications": opt.MaintNotificationsConfig.Mode == maintnotifications.ModeDisabled,
		} {
			if !ok {
				t.Errorf("%s: not as wanted in %+v", what, opt)
			}
		}
	})

	t.Run("refuses what cannot be a quorum", func(t *testing.T) {
		t.Parallel()
		for _, urls := range [][]string{
			{},
			{"redis://a", "redis://b"},
			{"redis://a", "redis://b", "redis://c", "redis://d"},
		} {
			if _, err := lock.NewClients(urls, lock.ClientConfig{}); err == nil {
				t.Errorf("%d URLs were accepted", len(urls))
			}
			if _, err := lock.New(make([]redis.UniversalClient, len(urls)), lock.Config{}); err == nil {
				t.Errorf("%d clients were accepted", len(urls))
			}
		}
	})

	t.Run("refuses a client that is nil", func(t *testing.T) {
		t.Parallel()
		if _, err := lock.New(make([]redis.UniversalClient, 1), lock.Config{}); err == nil {
			t.Error("it was accepted")
		}
	})

	t.Run("refuses an address given twice", func(t *testing.T) {
		t.Parallel()
		_, err := lock.NewClients([]string{"redis://a", "redis://b", "redis://:x@a:6379/1"}, lock.ClientConfig{})
		if !errors.Is(err, lock.ErrSameServer) {
			t.Errorf("got %v, want ErrSameServer", err)
		}
	})

	t.Run("shows no password when it refuses a URL", func(t *testing.T) {
		t.Parallel()
		for _, u := range []string{
			"redis://:s3cr3t@host:not-a-port", "redis://:s3cr3t/x@host", "redis://user:s3cr3t%@host",
			"http://:s3cr3t@host", "redis://:s3cr3t@host/zero", "redis://:s3cr3t@host?unknown=1", "s3cr3t@host:6379",
		} {
			_, err := lock.NewClients([]string{u}, lock.ClientConfig{})
			if err == nil {
				t.Errorf("%s was accepted", u)
			} else if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error shows the password: %v", err)
			}
		}
	})

	t.Run("speaks TLS and logs in", func(t *testing.T) {
		t.Parallel()
		m := miniredis.NewMiniRedis()
		if err := m.StartTLS(&tls.Config{Certificates: []tls.Certificate{certificate(t)}}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		m.RequireUserAuth("shop", "s3cr3t")
		for credentials, want := range map[string]error{"shop:s3cr3t@": nil, "shop:wrong@": lock.ErrUnavailable, "": lock.ErrUnavailable} {
			clients, err := lock.NewClients([]string{"rediss://" + credentials + m.Addr() + "?skip_verify=true"}, lock.ClientConfig{Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			l, err := lock.New(clients, lock.Config{Expiry: time.Minute, TryTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			lease, err := l.Lock(t.Context(), []string{"1"})
			if !errors.Is(err, want) {
				t.Errorf("as %q: got %v, want %v", credentials, err, want)
			}
			if err == nil {
				mustUnlock(t, lease)
			}
			l.Close()
			clients[0].Close()
		}
	})
}

// certificate makes a certificate for this machine.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
