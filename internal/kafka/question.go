package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// answerPatience is how long the next piece of an answer may take, beyond what the
	// broker was given to wait for something to say.
	answerPatience = 10 * time.Second
	// answerPiece is how much of an answer has to come in that time: no link is as slow.
	answerPiece = 64 << 10
	// answerMost is more than any answer has. A larger one does not come from a broker.
	answerMost = 256 << 20
)

// question is a request that is written and read here and not by the client, which
// sets aside 64 KiB for each batch of an answer, however small. It goes over one of the
// client's connections, which nobody else uses meanwhile and the client closes
// after an error. It goes on when nobody waits for the answer any more.
type question struct {
	// to is the broker that is asked.
	to func(protocol.Cluster) (protocol.Broker, error)
	// wait is how long the broker may wait for something to say.
	wait time.Duration
	key  protocol.ApiKey
	text []byte // as it is sent, with its length
	room []byte // where the answer is read into, if there is enough of it
}

// answer is what a broker says.
type answer struct {
	key  protocol.ApiKey
	text []byte // what follows its length
	body []byte // and the number of the question
}

// correlation is the number of every question: each is alone on its connection.
const correlation = 1

// newQuestion is req, written down.
func (c *Client) newQuestion(req kmsg.Request, wait time.Duration, to func(protocol.Cluster) (protocol.Broker, error)) *question {
	format := kmsg.NewRequestFormatter(kmsg.FormatterClientID(c.cfg.ClientID))
	return &question{to: to, wait: wait, key: protocol.ApiKey(req.Key()), text: format.AppendRequest(nil, req, correlation)}
}

// ApiKey implements protocol.Message.
func (q *question) ApiKey() protocol.ApiKey { return q.key }

// Broker implements protocol.BrokerMessage.
func (q *question) Broker(cluster protocol.Cluster) (protocol.Broker, error) { return q.to(cluster) }

// Required implements protocol.RawExchanger.
func (q *question) Required(map[protocol.ApiKey]int16) bool { return true }

// ApiKey implements protocol.Message.
func (a *answer) ApiKey() protocol.ApiKey { return a.key }

// deadliner is what the client hands over as a connection.
type deadliner interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}

// RawExchange implements protocol.RawExchanger.
func (q *question) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	conn, ok := rw.(deadliner)
	if !ok {
		return nil, fmt.Errorf("the client's connection is a %T, which waits for ever", rw)
	}
	_ = conn.SetDeadline(time.Now().Add(q.wait + answerPatience)) // fails only if the connection has
	defer func() { _ = conn.SetDeadline(time.Time{}) }()
	if _, err := conn.Write(q.text); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:]))) //nolint:gosec // Kafka's sizes have a sign
	if size < int64(len(head)) || size > answerMost {
		return nil, fmt.Errorf("%w: it has %d bytes", errNoAnswer, size)
	}
	text := q.room
	if int64(cap(text)) < size {
		text = make([]byte, size)
	}
	text = text[:size]
	for at := 0; at < len(text); at += answerPiece {
		if at > 0 {
			_ = conn.SetDeadline(time.Now().Add(answerPatience)) // fails only if the connection has
		}
		if _, err := io.ReadFull(conn, text[at:min(at+answerPiece, len(text))]); err != nil {
			return nil, err
		}
	}
	if got := int32(binary.BigEndian.Uint32(text)); got != correlation { //nolint:gosec // Kafka's own number
		return nil, fmt.Errorf("%w: it is number %d, and %d was asked", errNoAnswer, got, correlation)
	}
	return &answer{key: q.key, text: text, body: text[len(head):]}, nil
}

// errNoAnswer: what came does not answer the question.
var errNoAnswer = errors.New("what the broker sent is no answer")

// into reads the answer as what was asked for. Newer kinds have tags before it.
func (a *answer) into(res kmsg.Response) error {
	text := a.body
	if res.IsFlexible() {
		var err error
		if text, err = behindTags(text); err != nil {
			return err
		}
	}
	if err := res.ReadFrom(text); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return nil
}

// behindTags passes over tagged fields.
func behindTags(text []byte) ([]byte, error) {
	number := func() (n uint64) {
		n, used := binary.Uvarint(text)
		if used <= 0 || n > uint64(len(text)) {
			text = nil
			return 0
		}
		text = text[used:]
		return n
	}
	for tags := number(); tags > 0; tags-- {
		number() // which it is
		if size := number(); size <= uint64(len(text)) {
			text = text[size:]
		}
	}
	if text == nil {
		return nil, fmt.Errorf("%w: its head is broken", errNoAnswer)
	}
	return text, nil
}
