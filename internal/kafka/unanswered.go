package kafka

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Unanswered reports whether err is the network's or the brokers': nothing has come, or
// none that makes sense, or that the cluster is busy with itself. What is wrong with
// something that did come, or with what was asked, is neither's.
func Unanswered(err error) bool {
	if isA[*fs.PathError](err) {
		return false // a file that cannot be read or written has the errors of a network
	}
	if code, answered := errors.AsType[kafkago.Error](err); answered {
		return code.Temporary() || code.Timeout()
	}
	for _, ours := range []error{errNoAnswer, errUnanswered, errDeposed, errDistrusted, errElsewhere, errNothing,
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return isA[protocol.Error](err) || isA[net.Error](err) ||
		isA[*tls.CertificateVerificationError](err) || isA[tls.RecordHeaderError](err)
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}
