package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const slowPieces = 20

// slowBroker is a connection to a broker that gets one question and sends one answer of
// slowPieces: pause is called before each. It ends when pause says that no more comes.
func slowBroker(t *testing.T, answer []byte, pause func(n int) (more bool)) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = errors.Join(ours.Close(), theirs.Close()) })
	go func() {
		var size [4]byte
		if _, err := io.ReadFull(theirs, size[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, theirs, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			return
		}
		for n := range slowPieces {
			at := min(n*answerPiece, len(answer))
			if !pause(n) {
				return
			}
			if _, err := theirs.Write(answer[at:min(at+answerPiece, len(answer))]); err != nil {
				return
			}
		}
	}()
	return ours
}

// largeAnswer is a fetch's, of a partition that has that many bytes.
func largeAnswer(size int) []byte {
	p := kmsg.NewFetchResponseTopicPartition()
	p.RecordBatches = make([]byte, size)
	res := kmsg.NewFetchResponse()
	res.SetVersion(fetchVersion)
	res.Topics = []kmsg.FetchResponseTopic{{Topic: "slow", Partitions: []kmsg.FetchResponseTopicPartition{p}}}
	text := res.AppendTo([]byte{0, 0, 0, 0, 0, 0, 0, correlation, 0}) // no tags
	binary.BigEndian.PutUint32(text, uint32(len(text)-4))             //nolint:gosec // it is short
	return text
}

// aQuestion is one that anybody answers.
func aQuestion() *question {
	req := kmsg.NewFetchRequest()
	req.SetVersion(fetchVersion)
	c := Connect(Config{ClientID: "question-test"})
	defer c.Close()
	return c.newQuestion(&req, fetchWait, nil)
}

func TestAnAnswerThatHangsInTheMiddleIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := slowBroker(t, largeAnswer(3*answerPiece), func(n int) bool { return n < 2 })
		began := time.Now()
		_, err := aQuestion().RawExchange(conn)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != answerPatience {
			t.Errorf("the wait took %s", took)
		}
	})
}

func TestAnAnswerThatIsSlowButSteadyIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	const slow = 2 * answerPatience / 5 // two waits are no longer than patience: pieces here end elsewhere
	synctest.Test(t, func(t *testing.T) {
		const size = (slowPieces - 1) * answerPiece
		conn := slowBroker(t, largeAnswer(size), func(int) bool {
			time.Sleep(slow)
			return true
		})
		began := time.Now()
		said, err := aQuestion().RawExchange(conn)
		if err != nil {
			t.Fatal(err)
		}
		res := kmsg.NewFetchResponse()
		res.SetVersion(fetchVersion)
		a, _ := said.(*answer)
		if err := a.into(&res); err != nil || len(res.Topics) != 1 || len(res.Topics[0].Partitions[0].RecordBatches) != size {
			t.Errorf("%d topics have come, %v", len(res.Topics), err)
		}
		if took := time.Since(began); took < slowPieces*slow {
			t.Errorf("it took %s: nothing was slow", took)
		}
	})
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for name, text := range map[string][]byte{
		"web server":     []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"no bytes":       {0, 0, 0, 0},
		"fewer than any": {0xff, 0xff, 0xff, 0xff},
		"another number": {0, 0, 0, 4, 0, 0, 0, correlation + 1},
	} {
		conn := slowBroker(t, text, func(n int) bool { return n == 0 })
		if _, err := aQuestion().RawExchange(conn); !errors.Is(err, errNoAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string][]byte{"nothing": {}, "an endless head": {200, 200, 200}, "a cut tag": {1, 0, 9, 1}, "a cut list": {0, 0, 0}} {
		res := kmsg.NewFetchResponse()
		res.SetVersion(fetchVersion)
		a := answer{body: text}
		if err := a.into(&res); !errors.Is(err, errNoAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
