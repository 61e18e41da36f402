package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// narrowWay is a connection over something that closes it for produce requests of more
// than so many bytes.
type narrowWay struct {
	net.Conn
	most uint32
}

func (w narrowWay) Write(b []byte) (int, error) {
	const key, framed = 4, 6 // behind its length a request says what it is
	if len(b) >= framed && binary.BigEndian.Uint16(b[key:]) == uint16(kmsg.Produce) && binary.BigEndian.Uint32(b) > w.most {
		_ = w.Close()
		return 0, errors.New("connection reset by peer")
	}
	return w.Conn.Write(b)
}

// TestWhatIsTooMuchForTheWayGoesInPieces: sent again as it is, it would never arrive.
func TestWhatIsTooMuchForTheWayGoesInPieces(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	client := Connect(Config{Brokers: p.cluster.ListenAddrs(), ClientID: "narrow-test",
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return narrowWay{Conn: conn, most: 200 << 10}, err
		}})
	t.Cleanup(client.Close)
	p.publisher = client.NewPublisher(nil)
	var messages []order.Message
	const each, size = 150, 1000
	for n := range each {
		for partition := range pressPartitions {
			messages = append(messages, to(pressA, partition, n, size))
		}
	}
	p.untilConfirmed(messages)
	for n := range int32(pressPartitions) {
		if got := p.log()[place(pressA, n)]; got != each {
			t.Errorf("%d messages in partition %d, want %d", got, n, each)
		}
	}
}
