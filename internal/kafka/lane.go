package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"orderconsumer/internal/order"
)

// lane is what one try has for one partition.
type lane struct {
	topic     string
	partition int32
	leader    int32
	records   []record // what is not confirmed, in order
	limit     int      // the most bytes of a set of records
	err       error    // why nothing more is sent; nil for as long as something is
	again     bool     // whether another try may help
}

// lanes parts messages by the partition that each goes to. Where it is known
// already that a partition cannot be written to, its lane has stopped.
//
// Where the leaders are is asked each time: the transport answers from memory, and
// the same memory then decides which broker a request goes to. A leader that moved
// is found at the latest after metadataTTL.
func (c *Client) lanes(ctx context.Context, messages []order.Message) ([]lane, error) {
	var topics []string
	of := make([]int32, len(messages)) // the topic of each message, later its lane
	for i := range messages {
		t := slices.Index(topics, messages[i].Topic)
		if t < 0 {
			t, topics = len(topics), append(topics, messages[i].Topic)
		}
		of[i] = int32(t) //nolint:gosec // no more than there are messages
	}
	all, first, err := c.everyLane(ctx, topics)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(all)+1)
	numbers := make([]int, 0, len(all))
	for len(numbers) < len(all) {
		numbers = append(numbers, len(numbers))
	}
	for i := range messages {
		t := of[i]
		// Without a key it is any of them.
		of[i] = int32(kafkago.Murmur2Balancer{}.Balance( //nolint:gosec // no more than there are partitions
			kafkago.Message{Key: messages[i].Key}, numbers[first[t]:first[t+1]]...))
		counts[of[i]]++
	}
	return fill(all, counts, of, messages), nil
}

// everyLane returns an empty lane for each partition of the topics, and where each
// topic's begin and end. A topic that cannot be written to has one that has stopped.
func (c *Client) everyLane(ctx context.Context, topics []string) (all []lane, first []int, err error) {
	res, err := c.transport.RoundTrip(ctx, c.admin.Addr, &metadata.Request{TopicNames: topics})
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the leaders of %d topics: %w", len(topics), err)
	}
	found, ok := res.(*metadata.Response)
	if !ok {
		return nil, nil, fmt.Errorf("ask for the leaders of %d topics: the answer is a %T", len(topics), res)
	}
	for _, topic := range topics {
		first = append(first, len(all))
		i := slices.IndexFunc(found.Topics, func(t metadata.ResponseTopic) bool { return t.Name == topic })
		code := int16(kafkago.UnknownTopicOrPartition)
		var partitions []metadata.ResponsePartition // with numbers from 0, in order
		if i >= 0 {
			code, partitions = found.Topics[i].ErrorCode, found.Topics[i].Partitions
		}
		if code == 0 && len(partitions) == 0 {
			code = int16(kafkago.LeaderNotAvailable)
		}
		if code != 0 {
			all = append(all, lane{topic: topic, partition: noPartition})
			all[len(all)-1].refuse(kafkago.Error(code))
			continue
		}
		for n, partition := range partitions {
			all = append(all, lane{topic: topic, partition: int32(n), leader: partition.LeaderID, limit: publishBytes}) //nolint:gosec // Kafka's own number
			// One that is missing or has no leader would take along all that goes to its broker.
			if partition.LeaderID < 0 || partition.PartitionIndex != int32(n) { //nolint:gosec // Kafka's own number
				all[len(all)-1].refuse(kafkago.LeaderNotAvailable)
			}
		}
	}
	return all, append(first, len(all)), nil
}

// noPartition is the number of a topic's lane that has no partition.
const noPartition = -1

// fill gives each lane its messages, and returns the lanes that have any. One array
// holds all records: it is never used again, because a connection may still be
// reading it long after nobody waits for the answer.
func fill(all []lane, counts []int, of []int32, messages []order.Message) []lane {
	records := make([]record, len(messages))
	end := 0
	for n := range all {
		all[n].records = records[end : end : end+counts[n]]
		end += counts[n]
	}
	for i := range messages {
		m, l := &messages[i], &all[of[i]]
		l.records = append(l.records, record{at: i, key: m.Key, value: m.Value, headers: m.Headers})
	}
	return slices.DeleteFunc(all, func(l lane) bool { return len(l.records) == 0 })
}

// open is true while there is something to send.
func (l *lane) open() bool { return l.err == nil && len(l.records) > 0 }

// stop ends the lane: what it still has is not confirmed.
func (l *lane) stop(err error, again bool) {
	where := fmt.Sprintf("partition %d of %s", l.partition, l.topic)
	if l.partition == noPartition {
		where = "topic " + l.topic
	}
	l.err, l.again = fmt.Errorf("%s: %w", where, err), again
}

// refuse stops the lane for what a broker says about its partition. An error that
// we do not know is one that is not confirmed.
func (l *lane) refuse(err error) { l.stop(sized(err), Busy(err)) }

// next is how many records go into the next set, and their bytes. Large ones have a
// set of their own, and one that is too large for any stops the lane.
func (l *lane) next() (n, bytes int) {
	if !l.open() {
		return 0, 0
	}
	for n < len(l.records) {
		size := l.records[n].size()
		if n > 0 && (size >= publishAlone || bytes+size > l.limit) {
			break
		}
		n, bytes = n+1, bytes+size
		if size >= publishAlone {
			break
		}
	}
	if bytes > aloneBytes {
		l.refuse(fmt.Errorf("%w: %d bytes, at most %d are sent", kafkago.MessageSizeTooLarge, bytes, aloneBytes))
		return 0, 0
	}
	return n, bytes
}

// leftOver finds the messages that are not confirmed, and one of the reasons.
func leftOver(messages []order.Message, lanes []lane) (unconfirmed []order.Message, again bool, err error) {
	var missing []bool
	n := 0
	for i := range lanes {
		l := &lanes[i]
		if len(l.records) == 0 {
			continue
		}
		if missing == nil {
			missing = make([]bool, len(messages))
		}
		for k := range l.records {
			missing[l.records[k].at] = true
		}
		n += len(l.records)
		again = again || l.again
		// That something is too large is the reason that must not be missed.
		if err == nil || errors.Is(l.err, order.ErrTooLarge) && !errors.Is(err, order.ErrTooLarge) {
			err = l.err
		}
	}
	if n == 0 {
		return nil, false, nil
	}
	if err == nil {
		err = errUnanswered // or they would be taken for confirmed
	}
	unconfirmed = make([]order.Message, 0, n)
	for i := range missing {
		if missing[i] {
			unconfirmed = append(unconfirmed, messages[i])
		}
	}
	return unconfirmed, again, err
}

// sized marks an error, of ours or of a broker, that is about the size of what was
// sent: sending the same again is of no use.
func sized(err error) error {
	if tooLarge(err) {
		return fmt.Errorf("%w: %w", order.ErrTooLarge, err)
	}
	return err
}

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}
