package kafka

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/order"
)

// TestALeaderThatMovedIsFound: what the others have confirmed is not sent again.
func TestALeaderThatMovedIsFound(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.untilConfirmed(everywhere())
		must(t, p.cluster.MoveTopicPartition(pressA, 0, 1))
		began := time.Now()
		p.untilConfirmed(everywhere())
		if took := time.Since(began); took > 2*metadataTTL {
			t.Errorf("it took %v", took)
		}
		if log := p.log(); len(log) != 2*pressPartitions || slices.ContainsFunc([]int64{log[place(pressA, 0)], log[place(pressA, 1)], log[place(pressB, 0)]}, func(n int64) bool { return n != 4 }) {
			t.Errorf("the log has %v, want 4 in each partition", log)
		}
	})
}

// TestADeposedBrokerThatHangsIsNotWaitedFor: what it was sent goes to the new leader as
// soon as the client has heard of that.
func TestADeposedBrokerThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.untilConfirmed(everywhere())
		p.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			p.cluster.KeepControl()
			return nil, nil, p.cluster.CurrentNode() == 0
		})
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			for n := range int32(pressPartitions) {
				must(t, p.cluster.MoveTopicPartition(pressA, n, 1))
			}
		})
		p.untilConfirmed([]order.Message{to(pressA, 0, 3, 10)})
		if took, most := time.Since(began), time.Second+metadataTTL+deposedEvery+publishRest; took > most {
			t.Errorf("it took %v, want no more than %v", took, most)
		}
	})
}

// TestABrokerThatStillLeadsIsWaitedFor: what it has confirmed is not sent again because
// another partition of the request has moved.
func TestABrokerThatStillLeadsIsWaitedFor(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.untilConfirmed(everywhere())
		before := p.log()
		p.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			p.cluster.SleepControl(func() { <-time.After(metadataTTL + 2*deposedEvery) })
			return nil, nil, false
		})
		time.AfterFunc(deposedEvery/2, func() { must(t, p.cluster.MoveTopicPartition(pressA, 2, 1)) })
		p.untilConfirmed([]order.Message{to(pressA, 0, 3, 10), to(pressA, 2, 3, 10)})
		for n := range int32(pressPartitions) {
			want := before[place(pressA, n)] + 1 - int64(n%2)
			if got := p.log()[place(pressA, n)]; got != want {
				t.Errorf("partition %d has %d messages, want %d", n, got, want)
			}
		}
	})
}

// TestTopicsMayGrowAndCome: what is published later goes to new partitions as well.
func TestTopicsMayGrowAndCome(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.untilConfirmed(everywhere())
		unconfirmed, err := p.publisher.Publish(t.Context(), []order.Message{to("late", 0, 1, 10), to(pressA, 0, 2, 10)})
		if len(unconfirmed) != 1 || unconfirmed[0].Topic != "late" || !errors.Is(err, kafkago.UnknownTopicOrPartition) {
			t.Errorf("without the topic %d are not confirmed: %v", len(unconfirmed), err)
		}
		must(t, p.cluster.CreateTopic("late", 1, nil))
		_, err = p.client.admin.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{
			Topics: []kafkago.TopicPartitionsConfig{{Name: pressA, Count: 2 * pressPartitions}},
		})
		must(t, err)
		time.Sleep(metadataTTL)
		added := order.Message{Topic: pressA, Key: []byte(keyTo(2*pressPartitions-1, 2*pressPartitions, 1))}
		if p.untilConfirmed([]order.Message{added, to("late", 0, 1, 10)}) > 0 {
			t.Error("not at once")
		}
		if n := p.log()[place(pressA, 2*pressPartitions-1)]; n != 1 {
			t.Errorf("the last partition has %d messages", n)
		}
	})
}

// TestABrokerThatDoesNotAnswerIsNotWaitedForForEver, and the others are not taken down.
func TestABrokerThatDoesNotAnswerIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		p.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			p.cluster.KeepControl()
			return nil, nil, p.cluster.CurrentNode() == 1
		})
		began := time.Now()
		unconfirmed, err := p.publisher.Publish(t.Context(), everywhere())
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) || len(unconfirmed) != 2*pressPartitions {
			t.Errorf("%d are not confirmed: %v", len(unconfirmed), err)
		}
		if took := time.Since(began); took > publishTries*(publishTimeout+time.Second) {
			t.Errorf("it took %v", took)
		}
		if len(p.log()) != pressPartitions {
			t.Errorf("the log has %v", p.log())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if unconfirmed, err = p.publisher.Publish(ctx, everywhere()); ctx.Err() == nil || len(unconfirmed) != 2*pressPartitions || err == nil {
			t.Errorf("after the end of the context %d are not confirmed: %v", len(unconfirmed), err)
		}
	})
}

// TestAClosedPublisherWaitsForWhatIsUnderWay, and takes nothing more.
func TestAClosedPublisherWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	virtually(t, func(t *testing.T, p *press) {
		free := make(chan struct{})
		held := make(chan struct{}, 2)
		p.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			held <- struct{}{}
			p.cluster.SleepControl(func() { <-free })
			return nil, nil, false
		})
		done := make(chan error, 1)
		go func() {
			_, err := p.publisher.Publish(t.Context(), []order.Message{to(pressA, 0, 1, 10)})
			done <- err
		}()
		<-held
		closed := make(chan struct{})
		go func() {
			_ = p.publisher.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("it was not waited for")
		default:
		}
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
		<-closed
		unconfirmed, err := p.publisher.Publish(t.Context(), everywhere())
		if !errors.Is(err, io.ErrClosedPipe) || len(unconfirmed) != len(everywhere()) {
			t.Errorf("closed, it says %v", err)
		}
	})
}

// TestARecordIsAppendedAsItIs: headers, no value, a value of no bytes, no key.
func TestARecordIsAppendedAsItIs(t *testing.T) {
	t.Parallel()
	p := newPress(t, nil)
	sent := []order.Message{
		{Topic: pressA, Key: []byte(keyTo(0, pressPartitions, 1)), Value: []byte(strings.Repeat("v", 300)),
			Headers: []order.Header{{Key: "one", Value: []byte("1")}, {Key: "two"}, {Key: "three", Value: []byte{}}}},
		{Topic: pressA, Key: []byte(keyTo(0, pressPartitions, 2)), Headers: []order.Header{{Key: "four", Value: []byte("4")}}},
		{Topic: pressA, Key: []byte(keyTo(0, pressPartitions, 3)), Value: []byte{}},
	}
	var got []kmsg.Record
	var at time.Time
	p.cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req, _ := r.(*kmsg.ProduceRequest)
		got, at = recordsIn(t, req.Topics[0].Partitions[0].Records)
		return nil, nil, false
	})
	before := time.Now().Truncate(time.Millisecond)
	if _, err := p.publisher.Publish(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	var back []order.Message
	for _, r := range got {
		m := order.Message{Topic: pressA, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, order.Header{Key: h.Key, Value: h.Value})
		}
		back = append(back, m)
	}
	if diff := cmp.Diff(sent, back); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if at.Before(before) || at.After(time.Now()) {
		t.Errorf("the time is %v", at)
	}
	if _, err := p.publisher.Publish(t.Context(), []order.Message{{Topic: pressB, Value: []byte("no key")}}); err != nil {
		t.Error(err)
	}
}
