package sim

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Seeds is a range of seeds, both ends included.
type Seeds struct{ First, Last uint64 }

// ParseSeeds reads "7" or "1..1000".
func ParseSeeds(text string) (s Seeds, err error) {
	first, last, isRange := strings.Cut(text, "..")
	s.First, err = strconv.ParseUint(first, 10, 64)
	if err == nil {
		s.Last = s.First
		if isRange {
			s.Last, err = strconv.ParseUint(last, 10, 64)
		}
	}
	if err != nil || s.Last < s.First || s.Last-s.First >= 1<<62 {
		return Seeds{}, fmt.Errorf("seeds %q: want a number, or two as in 1..1000", text)
	}
	return s, nil
}

// Count is how many seeds there are.
func (s Seeds) Count() int { return int(s.Last - s.First + 1) }

// String is what ParseSeeds reads.
func (s Seeds) String() string {
	if s.First == s.Last {
		return strconv.FormatUint(s.First, 10)
	}
	return fmt.Sprintf("%d..%d", s.First, s.Last)
}

// Enough is how many seeds reach every fault and every rare path; a longer run
// that did not is void.
const Enough = 1000

// Options say how seeds are played.
type Options struct {
	// Workers is how many worlds are played at a time.
	Workers int
	// Again is the command line that plays one seed, told when a bubble breaks.
	Again func(seed uint64) string
	// Each is told of every world that has ended, one at a time; false ends the
	// run.
	Each func(Outcome) bool
	// Log, if any, takes what the instances log and which seed begins.
	Log *slog.Logger
}

// Report is what became of a range of seeds.
type Report struct {
	Seeds     int           // that were played
	Failed    []Outcome     // the worlds in which something was wrong
	Events    int           // that were published
	Virtual   time.Duration // how long the worlds lasted
	Recovered time.Duration // the longest that a world took to be settled after its last fault
	Reached   Reached
}

// Missing are the names that should have been reached and were not, sorted.
func (r *Report) Missing() []string { return r.Reached.Missing() }

// realLimit is how long one world, which takes a fraction of a second, may take
// outside: beyond it the bubble's clock stands still for good, because somebody
// holds a mutex while time should pass.
const realLimit = 3 * time.Minute

// garbage is how much of it may lie about before it is collected, in percent of
// what is in use (GOGC; a variable of that name goes before). A world uses a few
// megabytes and throws them away again a hundred times: at 100, the default,
// collecting took two fifths of the time. At 1600 two worlds at a time take 300
// MiB.
const garbage = 1600

// collectSeldom lets garbage lie until the returned function is called.
func collectSeldom() (again func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(garbage)
	return func() { debug.SetGCPercent(before) }
}

// RunAll plays all worlds on the goroutines of t. It fails t only when a bubble
// breaks; what was wrong is in the report.
func RunAll(t *testing.T, seeds Seeds, opts Options) *Report {
	t.Helper()
	defer collectSeldom()()
	redis.SetLogger(silent{})
	r := &Report{}
	var mu sync.Mutex
	var next atomic.Uint64
	var over atomic.Bool
	next.Store(seeds.First)
	t.Run("seeds", func(t *testing.T) {
		for worker := range opts.Workers {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for !over.Load() {
					seed := next.Add(1) - 1
					if seed > seeds.Last {
						return
					}
					o := watched(t, seed, opts)
					mu.Lock()
					r.add(o)
					if !opts.Each(o) {
						over.Store(true)
					}
					mu.Unlock()
				}
			})
		}
	})
	return r
}

// silent takes what the Redis client says of each failed dial.
type silent struct{}

// Printf implements the client's logger.
func (silent) Printf(context.Context, string, ...any) {}

// watched is Run, with somebody outside the bubble who looks at a real clock.
func watched(t *testing.T, seed uint64, opts Options) Outcome {
	t.Helper()
	if opts.Log != nil {
		opts.Log.Info("a world begins", "seed", seed)
	}
	stuck := time.AfterFunc(realLimit, func() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		fmt.Fprintf(os.Stderr, "seed %d has not ended after %s: its clock stands still\nagain: %s\n%s\n", seed, realLimit, opts.Again(seed), stacks)
		os.Exit(1)
	})
	defer stuck.Stop()
	broken := true
	defer func() {
		if broken { // and whoever breaks it only knows the number of the bubble
			fmt.Fprintf(os.Stderr, "the bubble of seed %d broke\nagain: %s\n", seed, opts.Again(seed))
		}
	}()
	o := Run(t, seed, opts.Log)
	broken = false
	return o
}

func (r *Report) add(o Outcome) {
	r.Seeds++
	r.Events += o.Events
	r.Virtual += o.Virtual
	r.Recovered = max(r.Recovered, o.Recovered)
	r.Reached.add(o.Reached)
	if o.Wrong > 0 {
		r.Failed = append(r.Failed, o)
	}
}
