package kafka

import (
	"context"
	"errors"
	"net"
	"testing"

	"golang.org/x/sync/errgroup"

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

// TestASilentBrokerKeepsNobodyFromStarting: which broker is asked first is by chance.
func TestASilentBrokerKeepsNobodyFromStarting(t *testing.T) {
	t.Parallel()
	brokers := append([]string{silentBroker(t)}, testkit.Start(t).Brokers...)
	ctx, cancel := context.WithTimeout(t.Context(), describeTimeout)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for range 10 {
		group.Go(func() error {
			client := Connect(Config{Brokers: brokers, ClientID: "silent-test"})
			defer client.Close()
			_, err := client.Ping(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
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
