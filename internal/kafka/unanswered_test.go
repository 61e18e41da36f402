package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
)

func TestWhatIsTheBrokersAndWhatIsNot(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, context.DeadlineExceeded, io.EOF, kafkago.NotLeaderForPartition,
		errNoAnswer, errUnanswered,
	} {
		if !Unanswered(fmt.Errorf("ask for 3 topics: %w", err)) {
			t.Errorf("%v is not taken for the brokers'", err)
		}
	}
	for _, err := range []error{
		errors.New("orders.results/0@5 is no outcome"), ErrDataLoss, ErrUnreadable, kafkago.InvalidReplicationFactor, &fs.PathError{Op: "write", Err: syscall.ENOSPC}, context.Canceled,
	} {
		if Unanswered(fmt.Errorf("read: %w", err)) {
			t.Errorf("%v is taken for the brokers'", err)
		}
	}
}
