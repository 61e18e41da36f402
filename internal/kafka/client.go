// Package kafka is the log: the only package that speaks to Kafka. It reads
// partitions as a member of a consumer group, hands their messages to a flow,
// commits what the flow has settled, and publishes.
package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// dialTimeout bounds each turn of a connection attempt: a broker that does not
	// answer is tried again, or another one is.
	dialTimeout = 3 * time.Second
	// requestTimeout bounds one administrative request.
	requestTimeout = 10 * time.Second
	// metadataTTL is how long the layout of the cluster is trusted. A leader
	// that moved is found at the latest after this.
	metadataTTL = 5 * time.Second
)

// Config says how the brokers are reached.
type Config struct {
	// Brokers are the addresses to begin with, host:port.
	Brokers []string
	// ClientID names this process in the brokers' logs and quotas.
	ClientID string
	// TLS is nil for plain connections.
	TLS *tls.Config
	// Login is the zero value when brokers do not ask who we are.
	Login Login
	// Dial replaces the network; nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is one process's connection to the cluster. It is safe for use by
// many goroutines; one is enough for a process, because each keeps its own
// pool of connections.
type Client struct {
	cfg       Config
	transport *kafkago.Transport
	end       context.CancelFunc // of what the transport runs
	admin     *kafkago.Client
	dialer    *kafkago.Dialer
}

// Connect returns a client. It does not speak to the brokers yet.
func Connect(cfg Config) *Client {
	dial := greeted(cfg)
	ctx, end := context.WithCancel(context.Background())
	transport := &kafkago.Transport{
		Context: ctx,
		Dial:    believed(dial),
		// One time is for all brokers together, and all but the last may use up a turn.
		DialTimeout: time.Duration(len(cfg.Brokers)+greetingTurns) * dialTimeout,
		MetadataTTL: metadataTTL,
		ClientID:    cfg.ClientID,
	}
	return &Client{
		cfg:       cfg,
		transport: transport,
		end:       end,
		admin: &kafkago.Client{
			Addr:      kafkago.TCP(cfg.Brokers...),
			Timeout:   requestTimeout,
			Transport: transport,
		},
		dialer: &kafkago.Dialer{
			ClientID: cfg.ClientID,
			DialFunc: dial,
			Timeout:  greetingTurns * dialTimeout,
		},
	}
}

// Close gives the client's idle connections back. Nothing can be asked any more:
// whoever asks, as a publisher does that was given up while it was trying, would
// have the transport look at the brokers for ever.
func (c *Client) Close() {
	c.end()
	c.transport.CloseIdleConnections()
}

// Brokers are the addresses the client begins with.
func (c *Client) Brokers() []string { return c.cfg.Brokers }

// Ping asks any broker for the cluster's layout and returns the number of
// brokers.
func (c *Client) Ping(ctx context.Context) (brokers int, err error) {
	meta, err := c.admin.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{}})
	if err != nil {
		return 0, fmt.Errorf("ask %v for metadata: %w", c.cfg.Brokers, err)
	}
	return len(meta.Brokers), nil
}
