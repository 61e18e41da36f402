package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Ways to log in.
const (
	// LoginPlain sends the password as it is: only TLS keeps it secret.
	LoginPlain = "plain"
	// LoginScram256 and LoginScram512 prove that the password is known without
	// sending it.
	LoginScram256 = "scram-sha-256"
	LoginScram512 = "scram-sha-512"
)

// Login is how brokers are told who we are. The zero value does not tell.
type Login struct{ mechanism sasl.Mechanism }

// Credentials are what a login is made of.
type Credentials struct {
	// Way is one of LoginPlain, LoginScram256, LoginScram512.
	Way      string
	User     string
	Password string
}

// NewLogin makes a login. No error shows the password.
func NewLogin(c Credentials) (Login, error) {
	if c.User == "" || c.Password == "" {
		return Login{}, errors.New("user or password is empty")
	}
	switch c.Way {
	case LoginPlain:
		return Login{plain.Mechanism{Username: c.User, Password: c.Password}}, nil
	case LoginScram256:
		return scramLogin(scram.SHA256, c)
	case LoginScram512:
		return scramLogin(scram.SHA512, c)
	default:
		return Login{}, fmt.Errorf("no way to log in is called %q: want %s, %s or %s", c.Way, LoginPlain, LoginScram256, LoginScram512)
	}
}

func scramLogin(algorithm scram.Algorithm, c Credentials) (Login, error) {
	m, err := scram.Mechanism(algorithm, c.User, c.Password)
	if err != nil {
		// Not in the library's words, which may repeat what they are about.
		return Login{}, errors.New("user or password has characters that SCRAM does not take")
	}
	return Login{m}, nil
}

// at tells a broker who we are, over a connection on which it has been greeted.
func (l Login) at(ctx context.Context, conn *protocol.Conn, address string) error {
	answer, err := conn.RoundTrip(&saslhandshake.Request{Mechanism: l.mechanism.Name()})
	if err != nil {
		return err
	}
	if res, ok := answer.(*saslhandshake.Response); ok && res.ErrorCode != 0 {
		return kafkago.Error(res.ErrorCode)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port %q: %w", port, err)
	}
	session, said, err := l.mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: number}))
	for done := false; err == nil && !done; {
		var heard []byte
		heard, err = prove(conn, said)
		if err == nil {
			done, said, err = session.Next(ctx, heard)
		}
	}
	return err
}

// prove sends one step of a login and returns what the broker says to it.
func prove(conn *protocol.Conn, said []byte) (heard []byte, err error) {
	answer, err := conn.RoundTrip(&saslauthenticate.Request{AuthBytes: said})
	if err != nil {
		return nil, err
	}
	res, ok := answer.(*saslauthenticate.Response)
	switch {
	case !ok:
		return nil, fmt.Errorf("answered with a %T", answer)
	case res.ErrorCode == 0:
		return res.AuthBytes, nil
	case res.ErrorMessage == "":
		return nil, kafkago.Error(res.ErrorCode)
	default:
		return nil, fmt.Errorf("%w: %s", kafkago.Error(res.ErrorCode), res.ErrorMessage)
	}
}

// LoginFailed reports whether err says that the brokers do not know the user or
// the password, which no waiting mends.
func LoginFailed(err error) bool { return errors.Is(err, kafkago.SASLAuthenticationFailed) }

// LoginUnknown reports whether err says that the brokers do not offer the way
// to log in.
func LoginUnknown(err error) bool {
	return errors.Is(err, kafkago.UnsupportedSASLMechanism) || errors.Is(err, kafkago.IllegalSASLState)
}

// Denied reports whether err says that we may not do what we asked for: the
// brokers know us, and somebody has to grant it.
func Denied(err error) bool {
	for _, no := range []kafkago.Error{
		kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
