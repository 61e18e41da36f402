package bench

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// realWorld is a world on the servers of the environment; without real ones
// the test is skipped, because there is nothing to measure.
func realWorld(t *testing.T, measure Measurer, options ...func(*Config)) *World {
	t.Helper()
	if !testkit.Real() {
		t.Skip("the benchmark is of real servers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cfg := Config{
		Servers: Servers{
			Kafka:       settings.Kafka{Brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ",")},
			RedisURL:    strings.Split(os.Getenv("REDIS_URL"), ",")[0],
			DatabaseURL: os.Getenv("DATABASE_URL"),
		},
		Measure: measure,
		Say:     t.Logf,
	}
	for _, option := range options {
		option(&cfg)
	}
	w, err := Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// small is enough of everything for every way to come to its end.
func small() Options {
	return Options{
		Orders: 1000, TextbookOrders: 50, BacklogOrders: 1000, Rounds: 2,
		LatencyFor: time.Second, LatencyWarm: time.Second / 2, Seed: 1,
	}
}

func inThisProcess(ctx context.Context, spec Spec) (Run, error) { return Measure(ctx, spec, quiet()) }

func TestEveryWayOnRealServers(t *testing.T) {
	t.Parallel()
	// It is the only test to: the server has one list of statements for all.
	w := realWorld(t, InProcess, func(c *Config) { c.Statements = true })
	rows := []Row{
		{Name: "ceiling", Shape: standard, Way: WayCeiling},
		{Name: fastest, Shape: standard, Way: WayOurs},
		{Name: "one hot goods, lock off", Shape: hotGoods, Way: WayOurs, Ours: Ours{Lock: "off"}, Once: true},
		{Name: "textbook", Shape: standard, Way: WayTextbook, Once: true},
		{Name: "per goods", Shape: standard, Way: WayPerGoods, Once: true},
		{Name: "slow network", Shape: hotGoods, Way: WayOurs, Delay: networkDelay, Once: true},
		{Name: "load", Shape: standard, Way: WayLatency, Load: 0.1, Once: true},
	}
	b := New(w, small())
	if err := b.Run(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	results := b.Results(rows)
	if len(results) != len(rows) {
		t.Fatalf("got %d results for %d rows", len(results), len(rows))
	}
	for i, r := range results {
		if r.Void != "" || r.OrdersPerSecond <= 0 || r.CPU.Consumer <= 0 || r.CPU.Database <= 0 || r.PeakMiB <= 0 || len(r.Statements) == 0 {
			t.Errorf("%s: got %+v", r.Row, r)
		}
		if want := b.options.Rounds; !rows[i].Once && r.Rounds != want {
			t.Errorf("%s: measured %d times, want %d", r.Row, r.Rounds, want)
		}
	}
	if best := results[0].Ceiling; best == nil || best.Batch == 0 || best.Connections == 0 {
		t.Errorf("the ceiling does not say what it was reached with: %+v", best)
	}
	if ours := results[1]; ours.RatioToCeiling <= 0 || ours.RatioToTextbook <= 0 {
		t.Errorf("ours is compared with nothing: %+v", ours)
	}
	if load := results[len(results)-1].Latency; load == nil || load.Orders == 0 || load.P50 <= 0 || load.P99 < load.P50 {
		t.Errorf("the load has no times: %+v", load)
	}
	w.Close()
	expectNothingLeft(t, w)
}

func expectNothingLeft(t *testing.T, closed *World) {
	t.Helper()
	w := realWorld(t, inThisProcess)
	defer w.Close()
	var databases int
	err := w.admin.QueryRowContext(t.Context(),
		"SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE ?", "bench\\_"+closed.id+"%").Scan(&databases)
	if err != nil || databases != 0 {
		t.Errorf("%d databases are left, %v", databases, err)
	}
	topics, err := w.client.Partitions(t.Context(), nil) // all there are
	if err != nil {
		t.Fatal(err)
	}
	for name := range topics {
		if strings.HasPrefix(name, "bench-"+closed.id) {
			t.Errorf("topic %s is left", name)
		}
	}
}

// What breaks a promise after a measurement stands for a way that broke it
// while it was measured.
func TestADirtyAuditVoidsTheRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, statement, reason string }{
		{"a level that is not the sum of its movements", "UPDATE stock SET available = available - 1 LIMIT 1", "level_is_not_sum_of_movements"},
		{"an order without movements", "DELETE FROM movements WHERE kind = 'deduct' LIMIT 1", "deducted_order_not_whole"},
		{"an order that is not there", "DELETE o, m FROM orders o JOIN movements m ON m.ref = o.order_id " +
			"WHERE o.order_id = 'order-00000001'", "level_is_not_sum_of_movements"},
		{"a row that is another one", "UPDATE orders SET state = 'voided' LIMIT 1", "movements_of_untouched_order"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := realWorld(t, func(ctx context.Context, spec Spec) (Run, error) {
				run, err := inThisProcess(ctx, spec)
				if err == nil && spec.Way == WayCeiling {
					err = breakIt(ctx, spec.Servers.DatabaseURL, c.statement)
				}
				return run, err
			})
			t.Cleanup(w.Close)
			options := small()
			options.Orders, options.Rounds = 10, 1
			b := New(w, options)
			rows := []Row{{Name: "ceiling", Shape: hotGoods, Way: WayCeiling}}
			if err := b.Run(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			got := b.Results(rows)[0]
			if got.Verdict != Void || !strings.Contains(got.Void, c.reason) {
				t.Errorf("got verdict %s, %q, want it void because of %s", got.Verdict, got.Void, c.reason)
			}
		})
	}
}

// A server that asks for TLS serves nobody who leaves it out.
func TestEveryConnectionSpeaksTLSAsTheURLSays(t *testing.T) {
	t.Parallel()
	cfg, err := serverOf("mysql://orders:p%40ss@db.example/orders?tls=skip-verify&readTimeout=4s")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLSConfig != "skip-verify" || cfg.Addr != "db.example:3306" || cfg.User != "orders" || cfg.Passwd != "p@ss" {
		t.Errorf("TLS %q, address %q, user %q, password %q", cfg.TLSConfig, cfg.Addr, cfg.User, cfg.Passwd)
	}
	if cfg.DBName != "" || cfg.ReadTimeout != 0 {
		t.Errorf("database %q, read timeout %s: copying a stock takes its time", cfg.DBName, cfg.ReadTimeout)
	}
	if _, err := serverOf("mysql://orders@db.example/orders?tls-ca=/nowhere"); err == nil || !strings.Contains(err.Error(), "tls-ca") {
		t.Errorf("an authority that is not there: %v", err)
	}
}

func breakIt(ctx context.Context, target, statement string) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", u.User.Username()+":"+password+"@tcp("+u.Host+")"+u.Path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

func TestWorkThatWasNotDoneVoidsTheRow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		way    Way
		cheat  func(*Spec)
		reason string
	}{
		{"an order short", WayCeiling, func(s *Spec) { s.Load.Orders-- }, "9 orders, 9 of them deducted, want 10"},
		{"nothing but the database's work", WayOurs, func(s *Spec) {
			s.Way, s.Ceiling = WayCeiling, Ceiling{Batch: 10, Connections: 1}
		}, "0 outcomes for 10 orders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := realWorld(t, func(ctx context.Context, spec Spec) (Run, error) {
				if spec.Way != WaySearch {
					c.cheat(&spec)
				}
				return inThisProcess(ctx, spec)
			})
			t.Cleanup(w.Close)
			options := small()
			options.Orders, options.Rounds = 10, 1
			b := New(w, options)
			rows := []Row{{Name: "cheater", Shape: hotGoods, Way: c.way}}
			if err := b.Run(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			if got := b.Results(rows)[0]; got.Verdict != Void || !strings.Contains(got.Void, c.reason) {
				t.Errorf("got verdict %s, %q, want it void because of %s", got.Verdict, got.Void, c.reason)
			}
		})
	}
}
