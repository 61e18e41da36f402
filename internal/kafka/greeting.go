package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
)

// greeted is a way to dial that takes only a broker that answers for one: the kernel
// of one that hangs goes on taking connections. The client's group and its look-ups
// go on to the next broker when a dial has failed, and only then; all that they ask
// later they ask the broker that was dialed.
//
// A login, and TLS, are an answer by themselves. The client lets a login take any
// time; here it ends with the time of the dial.
func greeted(cfg Config) func(ctx context.Context, network, address string) (net.Conn, error) {
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
		context.AfterFunc(ctx, func() {
			// A dial that came to its end in time ends its context too, but otherwise.
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				_ = conn.Close() // whoever reads from it is told
			}
		})
		if !cfg.plain() {
			return conn, nil
		}
		err = greet(dialing, conn, cfg.ClientID)
		if err != nil {
			_ = conn.Close() // it is of no use
			return nil, fmt.Errorf("%s takes connections and does not answer: %w", address, err)
		}
		return conn, nil
	}
}

// greet asks what every broker answers, to anybody and at once.
func greet(ctx context.Context, conn net.Conn, clientID string) error {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err := protocol.NewConn(conn, clientID).RoundTrip(new(apiversions.Request))
	if ctx.Err() != nil {
		return ctx.Err() // not that the connection is closed
	}
	return err
}
