package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/authority"
	"orderconsumer/internal/testkit"
)

// silentBroker takes connections and says nothing, as a broker does whose process
// hangs: the kernel goes on taking them.
func silentBroker(t *testing.T) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

// TestASilentBrokerIsPassedOver: the group is joined and its partitions are read
// although the first broker takes connections and never answers.
func TestASilentBrokerIsPassedOver(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 2)
	g.send("a", "b", "c", "d")
	g.client = Connect(Config{Brokers: append([]string{silentBroker(t)}, g.servers.Brokers...), ClientID: "silent-test"})
	t.Cleanup(g.client.Close)
	m := g.join()
	close(m.free)
	if n := wait(t, "an assignment", m.assigned); n != 2 {
		t.Errorf("%d partitions are assigned, want both", n)
	}
	for range 4 {
		wait(t, "a transaction", m.reached)
	}
}

// startsBesideASilentBroker asks with new clients, which broker is first being by
// chance, and returns what the first one was told that got no answer.
func startsBesideASilentBroker(t *testing.T, cfg Config) error {
	t.Helper()
	cfg.Brokers, cfg.ClientID = append([]string{silentBroker(t)}, cfg.Brokers...), "silent-test"
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for range 10 {
		group.Go(func() error {
			client := Connect(cfg)
			defer client.Close()
			_, err := client.Ping(ctx)
			return err
		})
	}
	return group.Wait()
}

func TestASilentBrokerKeepsNobodyFromStarting(t *testing.T) {
	t.Parallel()
	if err := startsBesideASilentBroker(t, Config{Brokers: testkit.Start(t).Brokers}); err != nil {
		t.Error(err)
	}
}

// secureConfig leads to brokers that speak TLS and ask who we are.
func secureConfig(t *testing.T, way string) Config {
	t.Helper()
	servers := testkit.StartSecure(t)
	pem, err := os.ReadFile(servers.File(authority.CAFile))
	if err != nil {
		t.Fatal(err)
	}
	login, err := NewLogin(Credentials{Way: way, User: servers.User, Password: servers.Password})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Brokers: servers.Brokers, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}, Login: login}
	cfg.TLS.RootCAs.AppendCertsFromPEM(pem)
	return cfg
}

func TestASilentBrokerKeepsNobodyFromStartingWithTLSAndALogin(t *testing.T) {
	t.Parallel()
	for _, way := range []string{LoginPlain, LoginScram512} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			if err := startsBesideASilentBroker(t, secureConfig(t, way)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhatABrokerHasSaidIsNotForgottenForASilentOne: doctor has a fix for the one
// and not for the other.
func TestWhatABrokerHasSaidIsNotForgottenForASilentOne(t *testing.T) {
	t.Parallel()
	cfg := secureConfig(t, LoginPlain)
	cfg.TLS.RootCAs = x509.NewCertPool()
	cfg.Brokers = append([]string{silentBroker(t)}, cfg.Brokers...)
	for range 5 { // which is asked first is by chance
		client := Connect(cfg)
		_, err := client.Ping(t.Context())
		client.Close()
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
			t.Errorf("got %v", err)
		}
	}
}

// TestALoginAtASilentBrokerEnds: what belongs to a dial is over when its time is.
func TestALoginAtASilentBrokerEnds(t *testing.T) {
	t.Parallel()
	login, err := NewLogin(Credentials{Way: LoginPlain, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	client := Connect(Config{Brokers: []string{silentBroker(t)}, Login: login})
	t.Cleanup(client.Close)
	dialed := make(chan error, 1)
	go func() {
		conn, err := client.dialer.DialContext(context.WithoutCancel(t.Context()), "tcp", client.cfg.Brokers[0])
		if err == nil {
			err = errors.Join(errors.New("logged in at nobody"), conn.Close())
		}
		dialed <- err
	}()
	if err := wait(t, "the end of the login", dialed); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
