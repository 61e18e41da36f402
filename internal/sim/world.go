package sim

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/workload"
)

const (
	group = "order-consumer"
	input = "orders"

	// recoverWithin is how long after the last fault everything must be settled:
	// every retry tier, and a few sessions and rebalances, because a member whose
	// answer got lost joins once more, and is waited for under its former name.
	recoverWithin = 5 * time.Minute
	// stopWithin is how long an instance may take to leave when it is told to.
	stopWithin = 30 * time.Second
	// looks is how often nothing must be left after it was first so: a generation
	// that begins just then may have read older offsets than those that were seen.
	looks = 3
	// together is how long a world without faults gives the instances to come
	// together, before there is anything to do: of what is in flight when
	// partitions change hands, events that are done above one that is not are done
	// again, and the counts would not be exact.
	together = 10 * time.Second
	// lateBy is when goods come into the catalogue for which there were orders
	// before: sooner than the first order can have been through all tiers.
	lateBy = 5 * time.Second
	// wrongTold is how many findings of a world are told.
	wrongTold = 20
)

// retryAfter are the tiers: shorter than usual, as idle time costs real time.
var retryAfter = []time.Duration{time.Second, 3 * time.Second, 8 * time.Second}

// world is one seed's world.
type world struct {
	plan     *plan
	settings settings.Consumer
	topics   order.Topics
	log      *slog.Logger
	reached  *Reached

	network  *network
	cluster  *kfake.Cluster
	brokers  []string
	redis    *miniredis.Miniredis
	database *database
	witness  *witness
	holders  *holders
	load     *workload.Workload
	sent     int // events of load that are in the log
	stocked  map[string]int64

	slots      []*slot
	stragglers sync.WaitGroup // what outlives the fault that began it

	mu        sync.Mutex
	places    int
	instances []*instance
	findings  []string
	wrongs    int
	counts    map[string]int64 // settled events, by outcome
	recovered time.Duration    // after the last fault
	retention retention
}

// Outcome is what became of one world.
type Outcome struct {
	Seed     uint64
	Plan     string   // what the seed decided, for people
	Findings []string // the first of what was wrong
	Wrong    int
	Reached  map[string]int64
	Events   int           // that were published
	Virtual  time.Duration // how long the world lasted
	// Recovered is how long after the last fault everything was settled.
	Recovered time.Duration
}

// Run plays the world of a seed in a bubble of t and returns what became of it.
// It fails t only when the bubble itself breaks: a goroutine that does not end,
// or everybody waiting for ever. log may be nil.
func Run(t *testing.T, seed uint64, log *slog.Logger) (o Outcome) {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := &world{plan: newPlan(seed), log: log, reached: &Reached{}, counts: make(map[string]int64), stocked: make(map[string]int64)}
		o = Outcome{Seed: seed, Plan: w.plan.String()}
		err := w.play(t.Context())
		if err != nil {
			w.wrong("the world broke off: %v", err)
		}
		o.Findings, o.Wrong, o.Reached = w.findings, w.wrongs, w.reached.Counts()
		o.Events, o.Virtual, o.Recovered = w.sent, time.Since(began), w.recovered
	})
	return o
}

// wrong adds something that is not as it should be.
func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrongs++
	if len(w.findings) < wrongTold {
		w.findings = append(w.findings, fmt.Sprintf(format, args...))
	}
}

// settled counts what instances say they have done.
func (w *world) settled(i *instance, s order.Settlement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !i.dead.Load() {
		w.counts[s.Outcome]++
	}
}

// join notes an instance that begins.
func (w *world) join(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances = append(w.instances, i)
}

// died reports whether the instance of that name was killed.
func (w *world) died(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.instances, func(i *instance) bool { return i.name == name && i.dead.Load() })
}

// play is the whole story.
func (w *world) play(ctx context.Context) error {
	err := w.build()
	if err != nil {
		return err
	}
	defer w.end()
	shop := kafka.Connect(kafka.Config{Brokers: w.brokers, ClientID: "shop", Dial: w.network.dialer("shop")})
	defer shop.Close()
	err = w.open(ctx, shop)
	if err != nil {
		return err
	}
	for range w.plan.instances {
		w.slots = append(w.slots, w.newSlot())
	}
	var story sync.WaitGroup
	for _, f := range w.plan.faults {
		story.Go(func() {
			time.Sleep(f.at)
			end := w.begin(f)
			time.Sleep(f.lasts)
			end()
		})
	}
	story.Go(func() {
		w.gather()
		w.deliverLate()
	})
	story.Go(func() {
		w.gather()
		err = w.sell(ctx, shop)
	})
	story.Wait()
	if err != nil {
		return err
	}
	if len(w.plan.faults) == 0 {
		w.reached.mark("a world without faults")
	}
	err = w.settle(ctx, shop)
	if err != nil {
		w.wrong("%v", err)
	}
	w.stopAll()
	// The shop's connections may have been cut while nobody used them, and it would
	// find out now.
	auditor := kafka.Connect(kafka.Config{Brokers: w.brokers, ClientID: "auditor", Dial: w.network.dialer("auditor")})
	defer auditor.Close()
	err = w.examine(ctx, auditor)
	if err != nil {
		return err
	}
	return w.epilogue(ctx, auditor)
}

// build makes the servers.
func (w *world) build() (err error) {
	w.settings, err = settings.DefaultConsumer()
	if err != nil {
		return err
	}
	p := w.plan
	w.settings.Group.Group, w.settings.Group.Topic, w.settings.Group.RetryAfter = group, input, retryAfter
	w.settings.Lock.Mode, w.settings.Lock.Budget = p.lock, p.budget
	w.settings.Flow.TransactionTimeout = p.timeout
	w.settings.Flow.Workers, w.settings.Flow.BatchSize = p.workers, p.batch
	w.topics = order.NewTopics(input, group, retryAfter)
	w.load, err = workload.New(p.load)
	if err != nil {
		return err
	}
	w.network = newNetwork(w)
	w.database = newDatabase(w)
	w.redis = miniredis.NewMiniRedis()
	w.redis.ClockTTL(true)
	w.holders = newHolders(w)
	const firstPort = 9092
	var ports []int
	for i := range p.brokers {
		ports = append(ports, firstPort+i)
		w.brokers = append(w.brokers, fmt.Sprintf("127.0.0.1:%d", firstPort+i))
	}
	w.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(p.brokers), kfake.Ports(ports...), kfake.ListenFn(w.network.kafka.Listen))
	if err != nil {
		return err
	}
	w.brokers = w.cluster.ListenAddrs()
	w.witness = newWitness(w)
	return nil
}

// end ends the servers, and gives what is still on its way time to find out.
func (w *world) end() {
	w.stragglers.Wait()
	w.redis.Close()
	w.cluster.Close()
	time.Sleep(time.Minute)
}

// open makes the topics and fills the stock.
func (w *world) open(ctx context.Context, shop *kafka.Client) error {
	var specs []kafka.TopicSpec
	for _, name := range w.topics.All() {
		specs = append(specs, kafka.TopicSpec{Name: name, Partitions: w.plan.partitions, Replication: 1})
	}
	_, err := shop.EnsureTopics(ctx, specs)
	if err != nil {
		return err
	}
	w.witness.watch()
	lines := w.load.Expect().Stock(w.plan.share)
	for _, line := range lines {
		w.stocked[line.Goods] = line.Num
	}
	return w.database.deliver("opening", lines[min(w.plan.late, len(lines)):])
}

// gather waits, in a world without faults, until the instances have come
// together.
func (w *world) gather() {
	if len(w.plan.faults) == 0 {
		time.Sleep(together)
	}
}

// deliverLate brings the goods that the catalogue did not have at first.
func (w *world) deliverLate() {
	lines := w.load.Expect().Stock(w.plan.share)
	time.Sleep(lateBy)
	err := w.database.deliver("late", lines[:min(w.plan.late, len(lines))])
	if err != nil {
		w.wrong("late goods: %v", err)
	}
}

// newSlot makes a place for instances, and the first of them.
func (w *world) newSlot() *slot {
	w.mu.Lock()
	w.places++
	s := &slot{world: w, number: w.places}
	w.mu.Unlock()
	s.start()
	return s
}

// settle waits until nothing is left to do.
func (w *world) settle(ctx context.Context, shop *kafka.Client) error {
	for _, s := range w.slots {
		if s.now().going() {
			s.restart()
		}
	}
	const look = time.Second
	healed := time.Now()
	seen := 0 // looks in a row that found nothing
	for {
		left := int64(0)
		positions, err := shop.Positions(ctx, group, w.topics.Consumed())
		for _, p := range positions {
			left += p.Lag()
		}
		w.recovered = time.Since(healed)
		switch {
		case err == nil && left == 0 && seen == looks:
			return nil
		case err == nil && left == 0:
			seen++
			time.Sleep(look)
			continue
		case w.recovered > recoverWithin && err != nil:
			return fmt.Errorf("%s after the last fault nobody says where the group stands: %w", w.recovered, err)
		case w.recovered > recoverWithin:
			return fmt.Errorf("%s after the last fault %d messages are not settled", w.recovered, left)
		}
		seen = 0
		time.Sleep(look)
	}
}

// stopAll has every instance leave, and waits until nothing of any is left.
func (w *world) stopAll() {
	told := time.Now()
	w.mu.Lock()
	instances := slices.Clone(w.instances)
	w.mu.Unlock()
	for _, i := range instances {
		i.stop()
	}
	for _, i := range instances {
		<-i.done
	}
	if took := time.Since(told); took > stopWithin {
		w.wrong("the instances took %s to leave", took)
		return
	}
	w.reached.mark("left in time")
}
