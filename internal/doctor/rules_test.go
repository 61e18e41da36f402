package doctor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock/ledger"
)

// byName is what a chart has, by the names of the checks.
func (c *chart) byName() map[string]Finding {
	found := make(map[string]Finding)
	for _, f := range c.found {
		found[f.Name] = f
	}
	return found
}

func TestCopiesOfRecords(t *testing.T) {
	t.Parallel()
	d := Doctor{Settings: settings.Consumer{Kafka: settings.Kafka{Brokers: []string{"kafka:9092"}}}}
	for _, tt := range []struct {
		name      string
		topics    []kafka.Topic
		want      Status
		what, fix string
	}{
		{
			name:   "three, two before it is acknowledged",
			topics: []kafka.Topic{{Name: "orders", Replication: 3, MinInSync: 2}},
			want:   StatusOK, what: "at least 3 copies of every record, 2 before",
		},
		{
			name:   "three, one before it is acknowledged",
			topics: []kafka.Topic{{Name: "orders", Replication: 3, MinInSync: 1}, {Name: "dlq", Replication: 3, MinInSync: 2}},
			want:   StatusWarn, what: "min.insync.replicas is 1, a record may be acknowledged with one copy, in orders",
			fix: "kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics --entity-name TOPIC --add-config min.insync.replicas=2",
		},
		{
			name:   "one",
			topics: []kafka.Topic{{Name: "orders", Replication: 3, MinInSync: 2}, {Name: "dlq", Replication: 1, MinInSync: 1}},
			want:   StatusWarn, what: "one copy only of dlq", fix: "TOPIC_REPLICATION=3",
		},
		{
			name:   "fewer than must have it",
			topics: []kafka.Topic{{Name: "orders", Replication: 1, MinInSync: 2}},
			want:   StatusFail, what: "nothing can be written to orders (min.insync.replicas 2 of 1)", fix: "min.insync.replicas=1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c chart
			d.copies(tt.topics, &c)
			wantFinding(t, c.byName(), CheckReplication, tt.want, tt.what, tt.fix)
		})
	}
}

func TestTopicsThatForgetOrAreNotServed(t *testing.T) {
	t.Parallel()
	d := Doctor{Settings: settings.Consumer{
		Kafka: settings.Kafka{Brokers: []string{"kafka:9092"}},
		Group: settings.Group{Topic: "orders", Group: "group"},
	}}
	var c chart
	d.compaction([]kafka.Topic{{Name: "orders", Compacted: true}, {Name: "dlq"}}, &c)
	wantFinding(t, c.byName(), CheckCompaction, StatusWarn, "events: orders", "cleanup.policy=delete")

	d.existence(d.Settings.Group.Topics(), map[string]kafka.Topic{"orders": {Partitions: 12, Leaderless: 3}}, &c)
	wantFinding(t, c.byName(), CheckTopics, StatusFail, "orders (3 of 12)", "start the brokers")
}

func TestWhatFailedIsKept(t *testing.T) {
	t.Parallel()
	d := Doctor{Settings: settings.Consumer{
		Kafka: settings.Kafka{Brokers: []string{"kafka:9092"}},
		Group: settings.Group{Topic: "orders", Group: "group", RetryAfter: []time.Duration{time.Second}},
	}}
	topics := d.Settings.Group.Topics()
	tier := topics.Tiers[0].Topic
	kept := kafka.Topic{Retention: kafka.Forever, RetentionBytes: -1}
	for name, tt := range map[string]struct {
		found     map[string]kafka.Topic
		want      Status
		what, fix string
	}{
		"both for ever":        {map[string]kafka.Topic{topics.Dead: kept, tier: kept, topics.Input: {Retention: time.Hour}}, StatusOK, "are kept", ""},
		"the broker's default": {map[string]kafka.Topic{topics.Dead: {Retention: 168 * time.Hour, RetentionBytes: -1}, tier: kept}, StatusWarn, topics.Dead + " after 168h0m0s", "--add-config retention.ms=-1,retention.bytes=-1"},
		"a tier for a month":   {map[string]kafka.Topic{topics.Dead: kept, tier: {Retention: settings.TierRetention, RetentionBytes: -1}}, StatusOK, "are kept", ""},
		"a retry tier":         {map[string]kafka.Topic{topics.Dead: kept, tier: {Retention: time.Hour}}, StatusWarn, tier + " after 1h0m0s", "retention.ms=-1"},
		"by size":              {map[string]kafka.Topic{topics.Dead: {Retention: -1, RetentionBytes: 1 << 20}, tier: kept}, StatusWarn, topics.Dead + " from 1048576 bytes a partition on", "retention.bytes=-1"},
		"not told":             {map[string]kafka.Topic{topics.Dead: {}, tier: kept}, StatusWarn, "not told how long orders that failed are kept in " + topics.Dead, "make sure: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c chart
			d.retention(topics, tt.found, &c)
			if len(c.found) != 1 {
				t.Errorf("%d findings: %v", len(c.found), c.found)
			}
			wantFinding(t, c.byName(), CheckRetention, tt.want, tt.what, tt.fix)
		})
	}
	var c chart
	if d.retention(topics, nil, &c); len(c.found) != 0 {
		t.Errorf("topics that are not there: %v", c.found)
	}
}

func TestPlacesThatAConsumerRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at   kafka.Position
		want string
	}{
		"within the log":         {kafka.Position{First: 1, End: 5, Committed: 5}, "<nil>"},
		"no commit":              {kafka.Position{First: 1, End: 5, Committed: kafka.NoCommit}, "<nil>"},
		"below the log":          {kafka.Position{Topic: "orders", First: 3, End: 5, Committed: 1}, "orders/0 lost offsets 1 to 2"},
		"behind the log":         {kafka.Position{Topic: "orders", First: 1, End: 5, Committed: 6}, "orders/0 ends at 5, below the committed offset 6"},
		"a log that has parted":  {kafka.Position{Topic: "orders", Partition: 2, End: 5, Parted: "cut"}, "orders/2: cut"},
		"and has lost its start": {kafka.Position{Topic: "orders", First: 3, End: 5, Parted: "cut"}, "orders/0: cut"},
	} {
		if got := fmt.Sprint(lost(tt.at)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		settings ledger.Settings
		want     Status
		fix      string
	}{
		{name: "both", settings: ledger.Settings{FlushLogAtCommit: "1", LogBin: "ON", SyncBinlog: "1"}, want: StatusOK},
		{name: "no binary log to sync", settings: ledger.Settings{FlushLogAtCommit: "1", LogBin: "OFF", SyncBinlog: "0"}, want: StatusOK},
		{
			name: "the log of the engine", settings: ledger.Settings{FlushLogAtCommit: "2", LogBin: "ON", SyncBinlog: "1"},
			want: StatusWarn, fix: "SET GLOBAL innodb_flush_log_at_trx_commit = 1 (and",
		},
		{
			name: "both logs", settings: ledger.Settings{FlushLogAtCommit: "0", LogBin: "ON", SyncBinlog: "0"},
			want: StatusWarn, fix: "innodb_flush_log_at_trx_commit = 1; SET GLOBAL sync_binlog = 1",
		},
		{name: "a database without such settings", settings: ledger.Settings{Dialect: "sqlite"}, want: StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c chart
			durability(tt.settings, &c)
			wantFinding(t, c.byName(), CheckDurability, tt.want, "", tt.fix)
		})
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	for _, tt := range []struct {
		name string
		told time.Time
		trip time.Duration
		want Status
		what string
	}{
		{name: "the same", told: asked, want: StatusOK, what: "within 1s of redis"},
		{name: "told in the middle of the question", told: asked.Add(time.Second), trip: 2 * time.Second, want: StatusOK},
		{name: "explained by the time the answer took", told: asked.Add(2900 * time.Millisecond), trip: 2 * time.Second, want: StatusOK},
		{name: "we are behind", told: asked.Add(3 * time.Second), want: StatusWarn, what: "this machine is 3s behind redis"},
		{name: "we are ahead", told: asked.Add(-90 * time.Second), want: StatusWarn, what: "this machine is 1m30s ahead of redis"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := compareClocks([]clockReading{readClock("redis", tt.told, asked, tt.trip)})
			wantFinding(t, map[string]Finding{CheckClock: got}, CheckClock, tt.want, tt.what, "")
		})
	}
}

// wantFinding compares one finding; what and fix are parts of the texts.
func wantFinding(t *testing.T, found map[string]Finding, name string, want Status, what, fix string) {
	t.Helper()
	got, ok := found[name]
	if !ok || got.Status != want || !strings.Contains(got.What, what) || !strings.Contains(got.Fix, fix) {
		t.Errorf("%s: got %q %+v, want %s, %q and %q", name, got, got, want, what, fix)
	}
}
