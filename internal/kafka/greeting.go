package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
)

// dialFunc is a way to get to a broker.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// greetingTurns are how often a broker is waited for until it counts as reached: for
// the connection, TLS, its greeting and the login, each for dialTimeout.
const greetingTurns = 4

// greeted is a way to dial that takes only a broker that answers for one: the kernel
// of one that hangs goes on taking connections. The client's group and its look-ups
// go on to the next broker when a dial has failed, and only then; all that they ask
// later they ask the broker that was dialed. So everything up to the first question
// belongs to the dial: TLS and the login too, which the client would begin behind it
// and let take any time.
func greeted(cfg Config) dialFunc {
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dialing, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		met, err := cfg.meet(ctx, conn, address)
		if err != nil {
			_ = conn.Close() // it is of no use
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("%s takes connections and does not answer: %w", address, err)
			}
			return nil, err
		}
		return met, nil
	}
}

// meet makes a connection one that orders can be read from: over TLS where that is
// wanted, to a broker that answers and knows who we are.
func (cfg *Config) meet(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	if cfg.TLS != nil {
		over := tls.Client(conn, named(cfg.TLS, address))
		err := within(ctx, conn, func(ctx context.Context) error { return over.HandshakeContext(ctx) })
		if err != nil {
			return nil, fmt.Errorf("TLS with %s: %w", address, err)
		}
		conn = over
	}
	speaking := protocol.NewConn(conn, cfg.ClientID)
	err := within(ctx, conn, func(context.Context) error { return greet(speaking) })
	if err != nil {
		return nil, fmt.Errorf("ask %s what it can do: %w", address, err)
	}
	if cfg.Login.mechanism == nil {
		return conn, nil
	}
	err = within(ctx, conn, func(ctx context.Context) error { return cfg.Login.at(ctx, speaking, address) })
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", address, err)
	}
	return conn, nil
}

// named is a configuration that knows whom it has to do with.
func named(cfg *tls.Config, address string) *tls.Config {
	if cfg.ServerName != "" {
		return cfg
	}
	cfg = cfg.Clone()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	cfg.ServerName = host
	return cfg
}

// within takes one turn, and closes the connection if that takes longer than a dial.
func within(ctx context.Context, conn net.Conn, turn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err := turn(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // not that the connection is closed
	}
	return err
}

// greet asks what every broker answers, to anybody and at once, and remembers what
// that one speaks.
func greet(conn *protocol.Conn) error {
	answer, err := conn.RoundTrip(new(apiversions.Request))
	if err != nil {
		return err
	}
	spoken := make(map[protocol.ApiKey]int16)
	if res, ok := answer.(*apiversions.Response); ok {
		if res.ErrorCode != 0 {
			return kafkago.Error(res.ErrorCode)
		}
		for _, api := range res.ApiKeys {
			key := protocol.ApiKey(api.ApiKey)
			spoken[key] = key.SelectVersion(api.MinVersion, api.MaxVersion)
		}
	}
	conn.SetVersions(spoken)
	return nil
}

// believed is a way to dial for who asks one broker after the other in one dial and
// is left with the word of the last. One that refuses us has been reached; what it
// said must not give way to that another one hangs.
func believed(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil && refuses(err) {
			us, _ := net.Pipe() // nobody is at its other end
			return refusal{us, err}, nil
		}
		return conn, err
	}
}

// refuses reports whether err is what a broker says, or what is wrong with it, rather
// than that it says nothing.
func refuses(err error) bool {
	if _, answered := errors.AsType[kafkago.Error](err); answered {
		return true
	}
	if _, unknown := errors.AsType[*tls.CertificateVerificationError](err); unknown {
		return true
	}
	if _, noTLS := errors.AsType[tls.RecordHeaderError](err); noTLS {
		return true
	}
	network, ok := errors.AsType[*net.OpError](err)
	return ok && network.Op == "remote error" // an alert: its type is not exported
}

// refusal is a connection on which everything ends with what the broker has said.
type refusal struct {
	net.Conn

	err error
}

func (r refusal) Read([]byte) (int, error)  { return 0, r.err }
func (r refusal) Write([]byte) (int, error) { return 0, r.err }
