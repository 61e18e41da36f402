package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
	cacheredis "orderconsumer/internal/stock/cache/redis"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/telemetry"
	"orderconsumer/internal/web"
	"orderconsumer/internal/workload"
)

// Queries says how stock queries are measured: over HTTP, on this machine.
type Queries struct {
	RedisURL, DatabaseURL string
	// Goods are in the catalogue, all asked for alike.
	Goods int
	// Connections ask, each one question after the other.
	Connections int
	// Rate is how many questions a second are due, of all connections together;
	// times count from then. Zero: each follows the answer before it.
	Rate float64
	// Warm is how long each load lasts before it is measured, For how long then.
	Warm, For time.Duration
	// Rounds is how often the ways are measured, in turn.
	Rounds int
	// Profiles is a folder for a CPU profile of each way and round, of asking and
	// answering together; empty for none.
	Profiles string
	Say      func(format string, args ...any)

	processes Processes
}

// QueryRow is what was measured of one way of answering.
type QueryRow struct {
	Row      string  `json:"row"` // queries/cached or queries/database
	Round    int     `json:"round"`
	Offered  float64 `json:"offered_per_second,omitzero"`
	Achieved float64 `json:"achieved_per_second"`
	Answers  int64   `json:"answers"`
	Refused  int64   `json:"refused"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p99_9_ms"`
	Max      float64 `json:"max_ms"`
	// CPU is the processor time of an answer in microseconds: of asking and
	// answering together, and beside it that of the servers, as far as they run here.
	CPU         float64 `json:"cpu_us"`
	RedisCPU    float64 `json:"redis_cpu_us"`
	DatabaseCPU float64 `json:"database_cpu_us"`
	// Readings of the database while it was measured.
	Readings int64 `json:"database_readings"`
	// RatioToDatabase is the p99 of the database's row of the same round divided by
	// this one's.
	RatioToDatabase float64 `json:"p99_ratio_to_database,omitzero"`
}

// The ways of answering.
const (
	queriesCached   = "queries/cached"
	queriesDatabase = "queries/database"
)

// Run measures the ways on a database of its own, which is removed.
func (q Queries) Run(ctx context.Context) (rows []QueryRow, err error) {
	l, remove, err := q.stocked(ctx)
	if err != nil {
		return nil, err
	}
	defer remove()
	instance.CollectRarely(1) // as the consumer does
	q.processes, err = processesOf(Servers{RedisURL: q.RedisURL, DatabaseURL: q.DatabaseURL})
	if err != nil {
		return nil, err
	}
	for round := range q.Rounds {
		ways := []string{queriesCached, queriesDatabase}
		if round%2 == 1 {
			ways[0], ways[1] = ways[1], ways[0]
		}
		measured := make(map[string]QueryRow, len(ways))
		for _, way := range ways {
			row, err := q.profiled(ctx, way, round+1, l)
			if err != nil {
				return rows, fmt.Errorf("%s: %w", way, err)
			}
			row.Round = round + 1
			measured[way] = row
			q.Say("%-18s %8.0f answers/s, p99 %.3f ms", way, row.Achieved, row.P99)
		}
		cached := measured[queriesCached]
		cached.RatioToDatabase = measured[queriesDatabase].P99 / cached.P99
		rows = append(rows, cached, measured[queriesDatabase])
	}
	return rows, nil
}

// stocked is a ledger in a database made for this.
func (q Queries) stocked(ctx context.Context) (l *ledger.Ledger, remove func(), err error) {
	u, err := url.Parse(q.DatabaseURL)
	if err != nil {
		return nil, nil, errors.New("DATABASE_URL: not a URL")
	}
	admin, err := administration(q.DatabaseURL)
	if err != nil {
		return nil, nil, err
	}
	w := &World{
		servers: Servers{DatabaseURL: q.DatabaseURL}, say: q.Say, admin: admin,
		id: fmt.Sprintf("queries_%d", time.Now().UnixNano()), stocks: make(map[int]string),
	}
	clean := func() {
		for _, name := range w.stocks {
			w.drop(ctx, name)
		}
		_ = admin.Close() // nothing is in flight
	}
	name, err := w.importStock(ctx, workload.Config{Goods: q.Goods})
	if err != nil {
		clean()
		return nil, nil, err
	}
	u.Path = "/" + name
	l, err = ledger.Open(ctx, ledger.Config{URL: u.String()})
	if err != nil {
		clean()
		return nil, nil, err
	}
	return l, func() { _ = l.Close(); clean() }, nil
}

// direct asks the database for each question.
type direct struct{ counted }

// Levels implements web.Levels.
func (d direct) Levels(ctx context.Context, goods []string) (map[string]stock.Level, time.Duration, error) {
	levels, err := d.counted.Levels(ctx, goods)
	return levels, 0, err
}

// profiled is measure with a profile, if that is wanted.
func (q Queries) profiled(ctx context.Context, way string, round int, l *ledger.Ledger) (QueryRow, error) {
	var name string
	if q.Profiles != "" {
		name = filepath.Join(q.Profiles, fmt.Sprintf("%s.%d.pprof", strings.ReplaceAll(way, "/", "."), round))
	}
	stop, err := profile(name)
	if err != nil {
		return QueryRow{}, err
	}
	defer stop()
	return q.measure(ctx, way, l)
}

// measure serves the API over one way of answering, and asks it.
func (q Queries) measure(ctx context.Context, way string, l *ledger.Ledger) (QueryRow, error) {
	metrics := telemetry.NewMetrics(telemetry.MetricsConfig{})
	source := newCounted(l)
	levels, closeLevels, err := q.levels(way, source, metrics)
	if err != nil {
		return QueryRow{}, err
	}
	defer closeLevels()
	bound := make(chan net.Addr, 1)
	server, err := web.New(web.Config{Addr: "127.0.0.1:0", OnListen: func(a net.Addr) { bound <- a }}, web.Deps{
		Orders: l, Levels: levels, Health: telemetry.NewHealth(telemetry.HealthConfig{}),
		Metrics: http.NotFoundHandler(), Requests: metrics, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return QueryRow{}, err
	}
	serving, stop := context.WithCancel(ctx)
	var served sync.WaitGroup
	served.Go(func() { err = errors.Join(err, server.Run(serving)) })
	row, askErr := q.ask(ctx, (<-bound).String(), source)
	stop()
	served.Wait()
	row.Row = way
	return row, errors.Join(askErr, err)
}

// levels is one way of answering.
func (q Queries) levels(way string, source counted, metrics *telemetry.Metrics) (web.Levels, func(), error) {
	if way == queriesDatabase {
		return direct{source}, func() {}, nil
	}
	store, err := cacheredis.Open(cacheredis.Config{
		URL: q.RedisURL, Prefix: fmt.Sprintf("bench-%d:{level}:", time.Now().UnixNano()),
	})
	if err != nil {
		return nil, nil, err
	}
	c, err := cache.New(cache.Config{}, cache.Deps{Store: store, Source: source, Observer: metrics})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return c, func() { c.Close(); _ = store.Close() }, nil
}
