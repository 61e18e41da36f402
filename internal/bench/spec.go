package bench

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"orderconsumer/internal/settings"
	"orderconsumer/internal/workload"
)

// Way is one way of settling the orders of a topic.
type Way string

const (
	// WayOurs is the consumer as it is shipped.
	WayOurs Way = "ours"
	// WayTextbook is one mutex for all goods and one order a transaction.
	WayTextbook Way = "textbook"
	// WayPerGoods is a mutex for each goods and one order a transaction.
	WayPerGoods Way = "per-goods"
	// WaySearch looks for the batches and connections that WayCeiling is
	// fastest with.
	WaySearch Way = "search"
	// WayCeiling is the database alone, without a log and without a lock.
	WayCeiling Way = "ceiling"
	// WayLatency is the consumer under a load of a given rate.
	WayLatency Way = "latency"
	// WayGenerate is that load.
	WayGenerate Way = "generate"
)

// Servers are where a measurement runs.
type Servers struct {
	Kafka settings.Kafka
	// RedisURL is one Redis: a quorum would cost all ways with a lock the same.
	RedisURL    string
	DatabaseURL string
}

// Spec is one measurement, as a process is told to make it.
type Spec struct {
	Way Way
	// Servers are reached as they are here: through a proxy, where there is one.
	Servers Servers
	// Processes are those of the servers whose time is counted.
	Processes Processes
	// Topic holds Load's events, or receives them. Group is a new one.
	Topic, Group string
	Events       int
	Load         workload.Config
	Ours         Ours
	Ceiling      Ceiling
	// Tried are what a search tries.
	Tried   []Ceiling
	Latency Latency
	// Profile is the file that a CPU profile goes to; empty for none.
	Profile string
}

// Ours says how the consumer is run; what is zero is the program's default.
type Ours struct {
	Instances int
	Workers   int
	BatchSize int
	Lock      string // off, optional or required
}

// Ceiling is how the database is spoken to: so many requests in a transaction,
// over so many connections at a time.
type Ceiling struct {
	Batch       int `json:"batch"`
	Connections int `json:"connections"`
}

// Latency is a load: orders arrive at Rate a second, independently of each
// other and of how fast they are settled. What arrives in the first Warm is
// not counted, what arrives in the Record after it is.
type Latency struct {
	Rate         float64
	Warm, Record time.Duration
	// Start is when the first order arrives; the generator is told.
	Start time.Time
}

// Run is what a measurement found.
type Run struct {
	Events int
	// Took is from the first message read to the last offset committed.
	Took time.Duration
	CPU  CPU
	// PeakMemory is the most memory the process held, in bytes; zero where the
	// system does not tell.
	PeakMemory int64
	// Ceiling is what a search found.
	Ceiling Ceiling
	// Answers are set by WayLatency.
	Answers *Answers
}

// Rate is events a second.
func (r *Run) Rate() float64 { return float64(r.Events) / r.Took.Seconds() }

// measurement is a Spec being carried out.
type measurement struct {
	Spec
	log   *slog.Logger
	meter meter
}

// Measure carries out one measurement in this process.
func Measure(ctx context.Context, spec Spec, log *slog.Logger) (Run, error) {
	ways := map[Way]func(*measurement, context.Context) (Run, error){
		WayOurs:     (*measurement).ours,
		WayTextbook: (*measurement).textbook,
		WayPerGoods: (*measurement).perGoods,
		WaySearch:   (*measurement).search,
		WayCeiling:  (*measurement).ceiling,
		WayLatency:  (*measurement).latency,
		WayGenerate: (*measurement).generate,
	}
	way, ok := ways[spec.Way]
	if !ok {
		return Run{}, fmt.Errorf("there is no way %q to measure", spec.Way)
	}
	stop, err := profile(spec.Profile)
	if err != nil {
		return Run{}, err
	}
	defer stop()
	m := &measurement{Spec: spec, log: log, meter: meter{processes: spec.Processes}}
	run, err := way(m, ctx)
	if err != nil {
		return Run{}, fmt.Errorf("%s: %w", spec.Way, err)
	}
	run.PeakMemory = peakMemory()
	return run, nil
}
