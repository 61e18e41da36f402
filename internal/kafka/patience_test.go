package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// patienceTopic is what the slow broker has.
const patienceTopic = "slow"

// slowStream is a stream from a broker that says what it can do and then sends one
// answer, of as many batches of one record each: pause is called before each of
// them. It ends when pause says that no more comes.
func slowStream(t *testing.T, batches int64, pause func(n int64) (more bool)) *stream {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = errors.Join(ours.Close(), theirs.Close()) })
	go func() {
		able := kmsg.NewPtrApiVersionsResponse()
		able.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: int16(kmsg.Fetch), MinVersion: 4, MaxVersion: 10}}
		if answered(theirs, able.AppendTo(nil), nil) != nil {
			return
		}
		var records []byte
		var starts []int // of each batch, counted from the end
		for n := range batches {
			starts = append(starts, len(records))
			records = append(records, batchAt(n, "k")...)
		}
		told := made(batches, records)
		res := kmsg.NewPtrFetchResponse()
		res.Version = 10
		res.Topics = []kmsg.FetchResponseTopic{{Topic: patienceTopic, Partitions: []kmsg.FetchResponseTopicPartition{*told}}}
		whole := res.AppendTo(nil)
		front := len(whole) - len(records)
		_ = answered(theirs, whole, func(sent int) (next int, more bool) {
			for n, start := range starts {
				if front+start > sent {
					return front + start, pause(int64(n))
				}
			}
			return len(whole), pause(batches)
		})
	}()
	conn := kafkago.NewConnWith(ours, kafkago.ConnConfig{ClientID: "patience-test", Topic: patienceTopic})
	return &stream{r: Range{Topic: patienceTopic, To: batches}, conn: conn, wait: fetchWait, stop: func() bool { return true }}
}

// answered reads a question and sends an answer, in pieces where there is something
// to wait for in between.
func answered(conn net.Conn, answer []byte, pieces func(sent int) (next int, more bool)) error {
	var size int32
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
		return err
	}
	question := make([]byte, size)
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	const number = 4                                                        // bytes: the key and the version come before the number of the question
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(answer)+number)) //nolint:gosec // it is short
	frame = append(frame, question[number:2*number]...)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	for sent := 0; sent < len(answer); {
		next, more := len(answer), true
		if pieces != nil {
			next, more = pieces(sent)
		}
		if !more {
			return nil
		}
		if _, err := conn.Write(answer[sent:next]); err != nil {
			return err
		}
		sent = next
	}
	return nil
}

// counting is an intake that counts, and takes its time.
func counting(n *int, took func()) intake {
	return intake{visit: func(order.Message) error {
		*n++
		took()
		return nil
	}}
}

func TestAnAnswerThatHangsInTheMiddleIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowStream(t, 3, func(n int64) bool { return n < 2 }) // of the second batch nothing comes any more
		began, visited := time.Now(), 0
		next, err := s.piece(t.Context(), 0, counting(&visited, func() {}))
		if !errors.Is(err, errAnswer) || next != 1 || visited != 1 {
			t.Errorf("%d visited up to %d, %v", visited, next, err)
		}
		if took := time.Since(began); took < streamTimeout/2 || took > streamTimeout {
			t.Errorf("the wait took %s", took)
		}
	})
}

func TestAnAnswerThatIsSlowButSteadyIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	const (
		batches = 20
		slow    = 2 * streamTimeout / 5 // the answer's head and the first batch are one wait
	)
	synctest.Test(t, func(t *testing.T) {
		s := slowStream(t, batches, func(int64) bool {
			time.Sleep(slow)
			return true
		})
		began, visited := time.Now(), 0
		next, err := s.piece(t.Context(), 0, counting(&visited, func() {}))
		if err != nil || next != batches || visited != batches {
			t.Errorf("%d visited up to %d, %v", visited, next, err)
		}
		if took := time.Since(began); took < batches*slow {
			t.Errorf("it took %s: nothing was slow", took)
		}
	})
}

func TestVisitingMayTakeAnyTime(t *testing.T) {
	t.Parallel()
	const batches = 3
	synctest.Test(t, func(t *testing.T) {
		s := slowStream(t, batches, func(int64) bool { return true })
		visited := 0
		next, err := s.piece(t.Context(), 0, counting(&visited, func() { time.Sleep(10 * streamTimeout) }))
		if err != nil || next != batches || visited != batches {
			t.Errorf("%d visited up to %d, %v", visited, next, err)
		}
	})
}
