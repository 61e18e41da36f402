// Package settings is what can be set: the flags and environment variables of the programs,
// with their defaults and bounds, what is opened with them, and what to set where a server
// will not have us.
package settings

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"orderconsumer/internal/job"
	"orderconsumer/internal/lock"
	"orderconsumer/internal/order"
)

// Group names the consumer group and its topics.
type Group struct {
	Group      string          `env:"ORDERS_GROUP" default:"order-consumer" help:"Consumer group; retry and dead-letter topics carry its name."`
	Topic      string          `env:"ORDERS_TOPIC" default:"orders" help:"Topic the order events come from."`
	RetryAfter []time.Duration `name:"retry-after" env:"RETRY_AFTER" default:"5s,30s,5m" help:"Delay of each retry tier; an event that has been through all of them becomes a dead letter."`
}

// Topics are the topics of the group.
func (s Group) Topics() order.Topics {
	return order.NewTopics(s.Topic, s.Group, s.RetryAfter)
}

// Topics say how topics are created that do not exist.
type Topics struct {
	Partitions  int `env:"TOPIC_PARTITIONS" default:"12" help:"Partitions of topics that are created; the most instances that can share the work."`
	Replication int `env:"TOPIC_REPLICATION" default:"1" help:"Replicas of topics that are created; 3 on a real cluster."`
}

// Lock says how goods are locked against other instances.
type Lock struct {
	Mode   string        `name:"lock" env:"LOCK" default:"optional" enum:"off,optional,required" help:"off: the database's row locks alone. optional: goes on without Redis when Redis is down. required: waits for it."`
	Expiry time.Duration `name:"lock-expiry" env:"LOCK_EXPIRY" default:"3s" help:"How long a crashed instance's goods stay locked; extended while a transaction runs."`
	Budget time.Duration `name:"lock-budget" env:"LOCK_BUDGET" default:"10s" help:"How long orders wait for goods another instance holds before they go to a retry tier."`
	Prefix string        `name:"lock-prefix" env:"LOCK_PREFIX" default:"lock:{goods}:" help:"What the keys of locked goods begin with; the part in braces keeps them in one slot of a cluster."`
}

// Modes of the lock.
const (
	LockOff      = "off"
	LockRequired = "required"
)

// Flow bounds the work of one instance.
type Flow struct {
	Workers            int           `env:"WORKERS" default:"3" help:"Transactions at a time. The others write their batches while one commits; more pay where the database is far away."`
	BatchSize          int           `env:"BATCH_SIZE" default:"2000" help:"Most orders in one transaction."`
	BatchLines         int           `env:"BATCH_LINES" default:"4000" help:"Most order lines in one transaction."`
	MaxWaiting         int           `env:"MAX_WAITING" default:"8000" help:"Most messages read and not yet taken by a worker."`
	MaxWaitingBytes    int           `env:"MAX_WAITING_BYTES" default:"33554432" help:"Most bytes of them, and of all that is being worked on."`
	ClaimAfter         time.Duration `env:"CLAIM_AFTER" default:"200ms" help:"After this a waiting order keeps its goods from those behind it."`
	TransactionTimeout time.Duration `env:"TRANSACTION_TIMEOUT" default:"15s" help:"A transaction that takes longer is given up and run again."`
	MaxDeadRatio       float64       `env:"MAX_DEAD_RATIO" default:"0.5" help:"Share of dead letters among the newest thousand events at which an instance stops: it leaves its group and stays up, not ready, until it is restarted; 0 never stops."`
	MinDead            int           `env:"MIN_DEAD" default:"100" help:"Fewest dead letters that can stop an instance."`
}

// Member says how the group is joined and left.
type Member struct {
	SessionTimeout time.Duration `env:"SESSION_TIMEOUT" default:"10s" help:"How long a crashed instance keeps its partitions. Below 6s a busy machine is taken for a dead one."`
	DrainTimeout   time.Duration `env:"DRAIN_TIMEOUT" default:"5s" help:"How long work in flight may take to end at a rebalance or a stop; less than the session timeout."`
	CommitEvery    time.Duration `env:"COMMIT_EVERY" default:"200ms" help:"Time between two commits of offsets."`
	AcceptDataLoss bool          `env:"ACCEPT_DATA_LOSS" help:"Go on when the log lost messages before they were read, instead of refusing to start."`
}

// Dedup says how long an order is known.
type Dedup struct {
	Horizon      time.Duration `name:"dedup-horizon" env:"DEDUP_HORIZON" default:"0s" help:"How old an event may be: an older one becomes a dead letter, because its order may have been cleaned up. At least the input topic's retention and --replay-window together, and longer than orders can be cancelled. 0: any age, no order is ever removed."`
	ReplayWindow time.Duration `name:"replay-window" env:"REPLAY_WINDOW" default:"168h" help:"How long after the input topic has dropped it an event may come again, out of the dead letters or from a file."`
}

// Check refuses a horizon that cannot be right whatever the topics keep.
func (s Dedup) Check() error {
	switch {
	case s.ReplayWindow < 0:
		return fmt.Errorf("replay-window: want 0 or more, got %s", s.ReplayWindow)
	case s.Horizon < 0:
		return fmt.Errorf("dedup-horizon: want 0 or more, got %s", s.Horizon)
	case s.Horizon > 0 && s.Horizon <= s.ReplayWindow:
		return fmt.Errorf("dedup-horizon: want more than the replay window of %s, got %s", s.ReplayWindow, s.Horizon)
	default:
		return nil
	}
}

// CheckRetention refuses a horizon before which the input topic still has
// events: they would all be dead letters when they are read again. A retention
// of zero is not known.
func (s Dedup) CheckRetention(topic string, retention time.Duration) error {
	switch {
	case s.Horizon == 0 || retention == 0:
		return nil
	case retention < 0:
		return fmt.Errorf("dedup-horizon %s: topic %s keeps its events for ever, none of them may be forgotten", s.Horizon, topic)
	case s.Horizon < retention+s.ReplayWindow:
		return fmt.Errorf("dedup-horizon %s: topic %s keeps its events for %s, and the replay window is %s", s.Horizon, topic, retention, s.ReplayWindow)
	default:
		return nil
	}
}

// HorizonFix is what to do about a horizon that is too short.
const HorizonFix = "raise DEDUP_HORIZON, or unset it to remember every order; or shorten retention.ms of the topic or REPLAY_WINDOW"

// Jobs say which jobs run beside the orders, and when.
type Jobs struct {
	Mode    string        `name:"jobs" env:"JOBS" default:"on" enum:"on,off" help:"on: this instance looks after the jobs below; of all that do, one at a time runs each. off: it does not."`
	Audit   string        `name:"audit-schedule" env:"AUDIT_SCHEDULE" default:"0 3 * * *" help:"When every row is held against what is promised of it: a cron expression, in UTC. Empty: never."`
	CleanUp string        `name:"clean-up-schedule" env:"CLEAN_UP_SCHEDULE" default:"30 3 * * *" help:"When orders from before the dedup horizon are removed, if there is one: a cron expression, in UTC. Empty: never."`
	Lease   time.Duration `name:"job-lease" env:"JOB_LEASE" default:"10s" help:"How soon the instance that runs a job is replaced when it vanishes."`
}

// JobsOff is the mode in which jobs are others' business.
const JobsOff = "off"

// check refuses what is no schedule.
func (s Jobs) check() error {
	if s.Mode == JobsOff || s.Mode == "" {
		return nil
	}
	var errs []error
	for name, text := range map[string]string{"audit-schedule": s.Audit, "clean-up-schedule": s.CleanUp} {
		if _, err := job.ParseSchedule(text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if s.Lease < job.MinLease {
		errs = append(errs, fmt.Errorf("job-lease: want at least %s, got %s", job.MinLease, s.Lease))
	}
	return errors.Join(errs...)
}

// Consumer holds all settings of a running consumer.
type Consumer struct {
	Kafka    Kafka    `embed:""`
	Redis    Redis    `embed:""`
	Database Database `embed:""`
	Group    Group    `embed:""`
	Topics   Topics   `embed:""`
	Lock     Lock     `embed:""`
	Flow     Flow     `embed:""`
	Member   Member   `embed:""`
	Dedup    Dedup    `embed:""`
	Cache    Cache    `embed:""`
	Jobs     Jobs     `embed:""`
	HTTP     string   `name:"http" env:"HTTP_ADDR" default:"localhost:8080" help:"Address of the API, health and metrics; empty for none. Only this machine is served unless told otherwise."`
}

// Bounds of settings. Below them things do not work, above them they do not
// work as anybody would mean it.
const (
	maxWorkers   = 64
	maxBatchSize = 10_000
	// A batch and one order more must not lock more goods than one lock holds.
	maxBatchLines = lock.MaxNames - order.MaxItems
	MaxPartitions = 1_000
	MinSession    = time.Second
)

// maxTopicName is the longest name of a topic that Kafka takes.
const maxTopicName = 249

// legalTopic is what Kafka takes for a topic's name.
func legalTopic(name string) bool {
	illegal := strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
	return name != "" && len(name) <= maxTopicName && !illegal
}

// listenable reports whether an address can be one to listen on; whether it is free shows
// when that is tried.
func listenable(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// Check refuses settings that cannot work, naming each with its reason. (It is not called Validate: kong would
// call that by itself while it reads a command line, and put its own words before ours.)
func (s Consumer) Check() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(s.Group.Group != "", "group is empty")
	check(s.Group.Topic != "", "topic is empty")
	for _, name := range s.Group.Topics().All() {
		check(legalTopic(name), "topic %q: Kafka wants 1 to %d of the characters a-z A-Z 0-9 . _ -", name, maxTopicName)
	}
	for i, delay := range s.Group.RetryAfter {
		check(delay > 0, "retry-after: %s is not positive", delay)
		check(i == 0 || delay > s.Group.RetryAfter[i-1], "retry-after: %s is not longer than the tier before it", delay)
	}
	check(s.Topics.Partitions >= 1 && s.Topics.Partitions <= MaxPartitions, "partitions: want 1 to %d, got %d", MaxPartitions, s.Topics.Partitions)
	check(s.Topics.Replication >= 1, "replication: want at least 1, got %d", s.Topics.Replication)
	check(s.Flow.Workers >= 1 && s.Flow.Workers <= maxWorkers, "workers: want 1 to %d, got %d", maxWorkers, s.Flow.Workers)
	check(s.Flow.BatchSize >= 1 && s.Flow.BatchSize <= maxBatchSize, "batch-size: want 1 to %d, got %d", maxBatchSize, s.Flow.BatchSize)
	check(s.Flow.BatchLines >= 1 && s.Flow.BatchLines <= maxBatchLines, "batch-lines: want 1 to %d, got %d", maxBatchLines, s.Flow.BatchLines)
	check(s.Flow.MaxWaiting >= 1, "max-waiting: want at least 1, got %d", s.Flow.MaxWaiting)
	check(s.Flow.MaxWaitingBytes >= 1, "max-waiting-bytes: want at least 1, got %d", s.Flow.MaxWaitingBytes)
	check(s.Flow.ClaimAfter > 0, "claim-after: want more than 0, got %s", s.Flow.ClaimAfter)
	check(s.Flow.TransactionTimeout > 0, "transaction-timeout: want more than 0, got %s", s.Flow.TransactionTimeout)
	check(s.Flow.MaxDeadRatio >= 0 && s.Flow.MaxDeadRatio <= 1, "max-dead-ratio: want 0 to 1, got %g", s.Flow.MaxDeadRatio)
	check(s.Lock.Budget > 0, "lock-budget: want more than 0, got %s", s.Lock.Budget)
	check(s.Member.SessionTimeout >= MinSession, "session-timeout: want at least %s, got %s", MinSession, s.Member.SessionTimeout)
	check(s.Member.DrainTimeout > 0 && s.Member.DrainTimeout < s.Member.SessionTimeout,
		"drain-timeout: want more than 0 and less than the session timeout %s, got %s: no heartbeats are sent while draining",
		s.Member.SessionTimeout, s.Member.DrainTimeout)
	check(s.Member.CommitEvery > 0, "commit-every: want more than 0, got %s", s.Member.CommitEvery)
	check(s.HTTP == "" || listenable(s.HTTP), "http: want host:port, such as localhost:8081, or nothing; got %q", s.HTTP)
	errs = append(errs, s.Dedup.Check(), s.Cache.check(), s.Jobs.check())
	return errors.Join(errs...)
}

// DefaultConsumer returns the settings of a consumer that is told nothing,
// neither by flags nor by the environment.
func DefaultConsumer() (Consumer, error) {
	var s Consumer
	parser, err := kong.New(&s)
	if err != nil {
		return s, fmt.Errorf("default settings: %w", err)
	}
	for _, flag := range parser.Model.Flags {
		flag.Tag.Envs = nil
	}
	_, err = parser.Parse(nil)
	if err != nil {
		return s, fmt.Errorf("default settings: %w", err)
	}
	s.Database.PasswordFile, s.Redis.PasswordFile, s.Cache.PasswordFile, s.Kafka.PasswordFile = noSecret, noSecret, noSecret, noSecret
	return s, nil
}
