package kafka

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/testkit"
)

// endsAt has questions for the end of the group's topic answered with an offset, while that is not negative.
func (g fakeGroup) endsAt(end *atomic.Int64) {
	g.cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		req, _ := r.(*kmsg.ListOffsetsRequest)
		asked := req.Topics[0]
		if asked.Topic != g.topic || asked.Partitions[0].Timestamp != kafkago.LastOffset || end.Load() < 0 {
			return nil, nil, false
		}
		res, _ := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic, part := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		part.Partition, part.Offset = asked.Partitions[0].Partition, end.Load()
		topic.Topic, topic.Partitions = g.topic, append(topic.Partitions, part)
		res.Topics = append(res.Topics, topic)
		return res, nil, true
	})
}

// readTo has a member of its own read and commit n messages.
func (g *commitGroup) readTo(n int64, change ...func(*ConsumerConfig)) *member {
	g.t.Helper()
	m := g.join(change...)
	close(m.free)
	m.readsTo(g, n)
	return m
}

func (m *member) readsTo(g *commitGroup, n int64) {
	g.t.Helper()
	for g.committed() != n {
		wait(g.t, "a commit", m.committed)
	}
}

// refuses waits for the member's end, because the log has parted from what was read.
func (m *member) refuses(t *testing.T, why string) {
	t.Helper()
	err := wait(t, "its end", m.ran)
	if !errors.Is(err, ErrDataLoss) || !strings.Contains(err.Error(), why) {
		t.Errorf("it ended with %v, and not because of: %s", err, why)
	}
	m.ran <- nil // for the end of the test, which waits once more
}

// parted is why the group refuses to read on.
func (g *commitGroup) parted() string {
	g.t.Helper()
	positions, err := g.client.Positions(g.t.Context(), g.name, []string{g.topic})
	if err != nil || len(positions) != 1 {
		g.t.Fatal(positions, err)
	}
	return positions[0].Parted
}

func acceptLoss(c *ConsumerConfig) { c.AcceptDataLoss = true }

func TestAMemberStopsAtALogThatEndsBelowTheCommit(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 1)
	g.send("a", "b")
	if err := g.client.SetOffsets(t.Context(), g.name, map[string]map[int]int64{g.topic: {0: 5}}); err != nil {
		t.Fatal(err)
	}
	g.join().refuses(t, "it ends at 2, below the committed offset 5")
	m := g.join(acceptLoss)
	close(m.free)
	wait(t, "the first message", m.reached)
	wait(t, "the second message", m.reached)
}

// TestALogThatWasCutAndFilledAgainIsNotReadOn: an unclean leader has offsets up to 2 only, and shops publish on
// before anybody reads the partition again. It ends behind the commit then, as if nothing had happened.
func TestALogThatWasCutAndFilledAgainIsNotReadOn(t *testing.T) {
	t.Parallel()
	const read, cut = 5, 2
	for name, diverges := range map[string]bool{
		"and is found to be shorter":                         false,
		"before it is asked how long it is, or even fetched": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newFakeGroup(t)
			var end atomic.Int64
			end.Store(-1)
			var other atomic.Bool // the log, than was read
			g.endsAt(&end)
			g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
				asked := req.Topics[0].Partitions[0]
				if asked.FetchOffset < read || !other.Load() {
					return nil
				}
				told := kmsg.NewFetchResponseTopicPartition()
				switch {
				case !diverges:
					told.ErrorCode = kerr.OffsetOutOfRange.Code
				case asked.LastFetchedEpoch < 0 || asked.CurrentLeaderEpoch < 0: // Kafka does not look then
					return nil
				default:
					told.HighWatermark, told.DivergingEpoch.Epoch, told.DivergingEpoch.EndOffset = read, asked.LastFetchedEpoch, cut
				}
				return &told
			})
			g.send("a", "b", "c", "d", "e")
			m := g.readTo(read)
			if !diverges {
				end.Store(cut)
			}
			other.Store(true)
			const why = "is the one that was read up to offset 2 only, and 5 was next"
			m.refuses(t, why)
			end.Store(-1)
			other.Store(false)
			g.send("f", "g")
			g.join().refuses(t, why) // another process
			if g.committed() != 0 || !strings.Contains(g.parted(), why) {
				t.Errorf("%d is committed, with %q", g.committed(), g.parted())
			}
			for n := range 2 {
				m := g.join(acceptLoss)
				close(m.free)
				if n == 0 {
					for range read + 2 {
						wait(t, "a transaction", m.reached) // from the start: it may have been made anew
					}
				}
				m.readsTo(g.commitGroup, read+2)
				m.stop()
			}
			if why := g.parted(); why != "" {
				t.Errorf("accepted, and still refused: %s", why)
			}
			g.readTo(read + 2).stop() // the loss need not be accepted again
		})
	}
}

// TestAMemberThatAcceptsBeginsACutLogAnew: without a restart, and also where the group could not be told.
func TestAMemberThatAcceptsBeginsACutLogAnew(t *testing.T) {
	t.Parallel()
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const read = 5
			g := newFakeGroup(t)
			var other atomic.Bool
			g.onFetch(func(offset int64) *kmsg.FetchResponseTopicPartition {
				if offset < read || !other.CompareAndSwap(true, false) {
					return nil
				}
				told := kmsg.NewFetchResponseTopicPartition()
				told.HighWatermark, told.DivergingEpoch.EndOffset = read, 2
				return &told
			})
			var refused atomic.Int32
			g.cluster.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
				g.cluster.KeepControl()
				req, _ := r.(*kmsg.OffsetCommitRequest)
				note := req.Topics[0].Partitions[0].Metadata
				if told || note == nil || *note == "" {
					return nil, nil, false
				}
				refused.Add(1)
				res, _ := req.ResponseKind().(*kmsg.OffsetCommitResponse)
				topic, part := kmsg.NewOffsetCommitResponseTopic(), kmsg.NewOffsetCommitResponseTopicPartition()
				part.ErrorCode = kerr.UnknownServerError.Code
				topic.Topic, topic.Partitions = g.topic, append(topic.Partitions, part)
				res.Topics = append(res.Topics, topic)
				return res, nil, true
			})
			g.send("a", "b", "c", "d", "e")
			m := g.readTo(read, acceptLoss)
			for range read {
				wait(t, "a transaction", m.reached)
			}
			other.Store(true)
			g.send("f")
			for range read {
				wait(t, "a transaction again", m.reached)
			}
			m.readsTo(g.commitGroup, read+1)
			if told == (refused.Load() > 0) {
				t.Errorf("%d notes were refused", refused.Load())
			}
		})
	}
}

// TestALogThatHasAllThatWasReadIsReadOn: a replica that came when compaction had taken the newest epoch whole
// knows nothing of it, and says that its log parts, at or behind the end of what was read.
func TestALogThatHasAllThatWasReadIsReadOn(t *testing.T) {
	t.Parallel()
	const read = 5
	g := newFakeGroup(t)
	var parts atomic.Bool
	g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
		asked := req.Topics[0].Partitions[0]
		if !parts.Load() || asked.LastFetchedEpoch < 0 {
			return nil
		}
		told := kmsg.NewFetchResponseTopicPartition()
		told.HighWatermark, told.DivergingEpoch.Epoch, told.DivergingEpoch.EndOffset = read+1, asked.LastFetchedEpoch-1, asked.FetchOffset
		return &told
	})
	g.send("a", "b", "c", "d", "e")
	m := g.readTo(read)
	parts.Store(true)
	g.send("f")
	m.readsTo(g.commitGroup, read+1)
}

// TestWhatWasReadIsRememberedOverAGeneration: the coordinator dies, and loses the end of the log.
func TestWhatWasReadIsRememberedOverAGeneration(t *testing.T) {
	t.Parallel()
	const read = 5
	g := newFakeGroup(t)
	var joined atomic.Int32
	g.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		g.cluster.KeepControl()
		joined.Add(1)
		return nil, nil, false
	})
	var before atomic.Int32 // how often was joined before the log was cut
	g.onFetchOf(func(req *kmsg.FetchRequest) *kmsg.FetchResponseTopicPartition {
		asked := req.Topics[0].Partitions[0]
		if n := before.Load(); n == 0 || n == joined.Load() || asked.LastFetchedEpoch < 0 {
			return nil
		}
		told := kmsg.NewFetchResponseTopicPartition()
		told.HighWatermark, told.DivergingEpoch.EndOffset = read+1, 2
		return &told
	})
	g.send("a", "b", "c", "d", "e")
	m := g.readTo(read)
	before.Store(joined.Load())
	g.cluster.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
		res, _ := r.ResponseKind().(*kmsg.HeartbeatResponse)
		res.ErrorCode = kerr.RebalanceInProgress.Code
		return res, nil, true
	})
	m.refuses(t, "is the one that was read up to offset 2 only, and 5 was next")
}

// TestABrokerTellsWhereTheLogParts holds a real one to what is made up above.
func TestABrokerTellsWhereTheLogParts(t *testing.T) {
	t.Parallel()
	g := newCommitGroup(t, 1)
	g.send("a", "b")
	feeds := g.client.newFeeds(1)
	feed := feeds.add(g.topic, 0)
	ctx, stop := context.WithCancel(t.Context())
	defer feeds.wait()
	defer stop()
	portion, err := feed.next(ctx, 0, noEpoch)
	if err != nil {
		t.Fatal(err)
	}
	epoch := portion.epochBefore(1, noEpoch)
	if epoch < 0 || feed.epoch < epoch {
		t.Errorf("a message of epoch %d from a leader of epoch %d", epoch, feed.epoch)
	}
	if _, err = feed.next(ctx, 1, epoch); err != nil {
		t.Errorf("what was read is in the log, and: %v", err)
	}
	_, err = feed.next(ctx, 5, epoch)
	if parted, ok := errors.AsType[*partedError](err); testkit.Real() && (!ok || parted.end != 2) {
		t.Errorf("a log that ends at 2 has read at 5 %v", err)
	} else if !testkit.Real() && !errors.Is(err, kafkago.OffsetOutOfRange) {
		t.Errorf("the broker in this process does not look where the log parts, and said %v", err)
	}
	feed.epoch = 1000
	if _, err = feed.next(ctx, 1, epoch); err == nil {
		t.Error("a leader that has not heard of a newer one was believed")
	}
}

// TestALeaderThatWasDeposedIsNotAskedAgain: a broker that stood still tells for a while that it leads, and
// has less than was read from the one after it.
func TestALeaderThatWasDeposedIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		feeds := (&Client{}).newFeeds(1)
		feed := feeds.add("orders", 0)
		ctx, stop := context.WithCancel(t.Context())
		defer feeds.wait()
		defer stop()
		for _, led := range []leader{{1, 3}, {1, 4}, {2, 5}} {
			if err := feed.follow(ctx, led); err != nil || feed.source.broker != led.broker {
				t.Fatalf("%v is not followed: %v", led, err)
			}
		}
		old := leader{1, 4}
		for range 2 {
			feed.source = nil
			if err := feed.follow(ctx, old); !errors.Is(err, errOldLeader) || feed.source != nil {
				t.Errorf("an older one is followed: %v", err)
			}
			if !feed.failedAt.Equal(time.Now()) || feed.failed != noBroker {
				t.Errorf("it is not looked up anew, or broker %d is left out", feed.failed)
			}
			time.Sleep(leaderAfter - time.Nanosecond)
			if err := feed.follow(ctx, leader{2, 5}); err != nil {
				t.Error(err)
			}
		}
		_ = feed.follow(ctx, old)
		time.Sleep(leaderAfter)
		if err := feed.follow(ctx, old); err != nil || feed.source.broker != old.broker || feed.epoch != old.epoch {
			t.Errorf("the newer leader has never come again, and: %v", err)
		}
		if err := feed.follow(ctx, leader{3, noEpoch}); err != nil || feed.epoch != old.epoch {
			t.Errorf("a server that tells no epoch is not followed in epoch %d: %v", feed.epoch, err)
		}
	})
}
