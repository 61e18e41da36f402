package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/testkit"
)

// shop is one test's world: servers, a topic and a group of its own, and a
// ledger to look into.
type shop struct {
	t        *testing.T
	servers  *testkit.Servers
	settings settings.Consumer
	topics   order.Topics
	client   *kafka.Client
	ledger   *ledger.Ledger
	publish  *kafka.Publisher
}

// testTimeout ends a test that waits for something that does not come.
const testTimeout = 60 * time.Second

func newShop(t *testing.T, change ...func(*settings.Consumer)) *shop {
	t.Helper()
	servers := testkit.Start(t)
	s := settings.Consumer{
		Kafka:    settings.Kafka{Brokers: servers.Brokers},
		Redis:    settings.Redis{URLs: servers.RedisURLs},
		Database: settings.Database{URL: servers.DatabaseURL},
		Group:    settings.Group{Group: testkit.Unique("group"), Topic: testkit.Unique("orders"), RetryAfter: []time.Duration{50 * time.Millisecond, 100 * time.Millisecond}},
		Topics:   settings.Topics{Partitions: 3, Replication: 1},
		Lock:     settings.Lock{Mode: "optional", Expiry: 3 * time.Second, Budget: 5 * time.Second, Prefix: testkit.Unique("lock") + ":{goods}:"},
		Flow: settings.Flow{Workers: 2, BatchSize: 100, BatchLines: 1000, MaxWaiting: 1000, MaxWaitingBytes: 1 << 20,
			ClaimAfter: 100 * time.Millisecond, TransactionTimeout: 10 * time.Second, MaxDeadRatio: 0.5, MinDead: 100},
		Cache: settings.Cache{Mode: "on", TTL: 10 * time.Second, Stale: 5 * time.Second, UnknownTTL: time.Second, UnknownMost: 1000,
			Rebuilds: 4, Prefix: testkit.Unique("stock") + ":{level}:"},
		Member: settings.Member{SessionTimeout: 6 * time.Second, DrainTimeout: 3 * time.Second, CommitEvery: 20 * time.Millisecond},
	}
	for _, c := range change {
		c(&s)
	}
	client, err := s.Kafka.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, err = client.EnsureTopics(t.Context(), s.TopicSpecs())
	if err != nil {
		t.Fatal(err)
	}
	publisher := client.NewPublisher(nil)
	t.Cleanup(func() { _ = publisher.Close() })
	return &shop{t: t, servers: servers, settings: s, topics: s.Group.Topics(),
		client: client, ledger: servers.OpenLedger(t), publish: publisher}
}

// stocked sets the levels.
func (s *shop) stocked(levels map[string]int64) {
	s.t.Helper()
	for goods, num := range levels {
		_, err := s.ledger.Set(s.t.Context(), "", stock.Line{Goods: goods, Num: num})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// send publishes raw values, keyed by what is before the colon.
func (s *shop) send(values ...string) {
	s.t.Helper()
	var messages []order.Message
	for i, v := range values {
		messages = append(messages, order.Message{Topic: s.topics.Input, Key: fmt.Append(nil, i), Value: []byte(v)})
	}
	s.sendMessages(messages...)
}

func (s *shop) sendMessages(messages ...order.Message) {
	s.t.Helper()
	_, err := s.publish.Publish(s.t.Context(), messages)
	if err != nil {
		s.t.Fatal(err)
	}
}

func create(id string, goods string, num int) string {
	return fmt.Sprintf(`{"event_id":"e-%s","type":"order.created","order_id":%q,"items":[{"goods_id":%q,"num":%d}]}`, id, id, goods, num)
}

func cancelOf(id string) string {
	return fmt.Sprintf(`{"event_id":"c-%s","type":"order.cancelled","order_id":%q}`, id, id)
}

// open returns an instance that is not running yet.
func (s *shop) open(change ...func(*instance.Options)) *instance.Instance {
	s.t.Helper()
	o := instance.Options{Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)), OpenLedger: testkit.OpenLedger}
	for _, c := range change {
		c(&o)
	}
	i, err := instance.Open(s.t.Context(), s.settings, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(i.Close)
	return i
}

// settle runs the instance until all that stands in the topic is settled.
func (s *shop) settle(i *instance.Instance) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testTimeout)
	defer cancel()
	take, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- i.Run(take, ctx) }()
	err := i.WaitSettled(ctx, func(string, int64) {})
	stop()
	if runErr := <-ran; runErr != nil {
		s.t.Fatal(runErr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) expectLevels(want map[string]int64) {
	s.t.Helper()
	got := make(map[string]int64)
	for goods := range want {
		level, err := s.ledger.Get(s.t.Context(), goods)
		if err != nil {
			s.t.Fatal(err)
		}
		got[goods] = level.Available
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("levels (-want +got):\n%s", diff)
	}
}

func (s *shop) expectState(id string, want stock.State) {
	s.t.Helper()
	record, err := s.ledger.Lookup(s.t.Context(), id)
	if err != nil {
		s.t.Errorf("order %s: %v", id, err)
		return
	}
	if record.State != want {
		s.t.Errorf("order %s is %s, want %s", id, record.State, want)
	}
}

func expectSettled(t *testing.T, i *instance.Instance, want map[string]int64) {
	t.Helper()
	if got := i.Settled(); !maps.Equal(got, want) {
		t.Errorf("settled %v, want %v", got, want)
	}
}

func TestOrdersBecomeStockChanges(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 5, "pear": 1})
	s.send(
		create("A-1", "apple", 2),
		create("A-2", "pear", 3),
		create("A-3", "apple", 3),
		create("A-4", "apple", 1), // may meet the others in any order: partitions differ
	)
	i := s.open()
	s.settle(i)
	s.expectState("A-2", stock.Rejected)
	level, err := s.ledger.Get(t.Context(), "apple")
	if err != nil {
		t.Fatal(err)
	}
	if level.Available < 0 || level.Available > 2 {
		t.Errorf("apple: %d left", level.Available)
	}
}

func TestEventsOfOneOrderKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 100})
	var messages []order.Message
	for n := range 20 {
		id := fmt.Sprint("A-", n)
		for _, v := range []string{create(id, "apple", 2), create(id, "apple", 2), cancelOf(id)} {
			messages = append(messages, order.Message{Topic: s.topics.Input, Key: []byte(id), Value: []byte(v)})
		}
	}
	s.sendMessages(messages...)
	i := s.open()
	s.settle(i)
	s.expectLevels(map[string]int64{"apple": 100})
	for n := range 20 {
		s.expectState(fmt.Sprint("A-", n), stock.Released)
	}
	expectSettled(t, i, map[string]int64{"deducted": 20, "duplicate": 20, "released": 20})
}

func TestUnknownGoodsAreTriedAgainAndThenDead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stocked(map[string]int64{"apple": 1})
	s.send(create("A-1", "nonsuch", 1), create("A-2", "apple", 1), "{broken", "{broken")
	var log bytes.Buffer
	i := s.open(func(o *instance.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	s.settle(i)
	expectSettled(t, i, map[string]int64{"deducted": 1, "retried": 2, "dead": 3})
	testkit.WantParts(t, log.String(), "became dead letters", "others_since=1") // of each code one is written about at once
	s.expectLevels(map[string]int64{"apple": 0})
	expectFed(t, i)
}
