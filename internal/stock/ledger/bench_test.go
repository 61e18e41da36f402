package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/stock/ledger/sqlite"
	"orderconsumer/internal/stock/stocktest"
)

// BenchmarkApply commits batches of new orders of two lines over 1,000 goods,
// some far hotter than others (Zipf 1.1), one batch at a time. cpu-us/order is
// this process alone: for a server, what the ledger itself costs.
func BenchmarkApply(b *testing.B) {
	open := map[string]func(testing.TB) *ledger.Ledger{
		"mysql": func(b testing.TB) *ledger.Ledger {
			return openMigrated(b, stocktest.NewDatabase(b, stocktest.MySQLEnv))
		},
		"mariadb": func(b testing.TB) *ledger.Ledger {
			return openMigrated(b, stocktest.NewDatabase(b, stocktest.MariaDBEnv))
		},
		"sqlite": func(b testing.TB) *ledger.Ledger {
			l, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "stock.db")})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = l.Close() })
			return migrated(b, l)
		},
	}
	for _, name := range []string{"mysql", "mariadb", "sqlite"} {
		for _, size := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/batch=%d", name, size), func(b *testing.B) {
				l := open[name](b)
				source := newSource(b, l)
				var cpu time.Duration
				for b.Loop() {
					b.StopTimer()
					reqs := source.batch(size)
					b.StartTimer()
					before := cpuTime(b) // inside: to start the timer costs more than a small batch
					if _, err := l.Apply(b.Context(), reqs); err != nil {
						b.Fatal(err)
					}
					cpu += cpuTime(b) - before
				}
				orders := float64(b.N * size)
				b.ReportMetric(orders/b.Elapsed().Seconds(), "orders/s")
				b.ReportMetric(float64(cpu.Microseconds())/orders, "cpu-us/order")
			})
		}
	}
}

// source draws orders.
type source struct {
	rng    *rand.Rand
	zipf   *rand.Zipf
	orders int
}

const benchGoods = 1000

func newSource(b testing.TB, l *ledger.Ledger) *source {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	lines := make([]stock.Line, benchGoods)
	for i := range lines {
		lines[i] = line(fmt.Sprint(i), 1<<40)
	}
	if _, err := l.Import(b.Context(), ledger.Import{Mode: stock.Set, Lines: lines}); err != nil {
		b.Fatal(err)
	}
	return &source{rng: rng, zipf: rand.NewZipf(rng, 1.1, 1, benchGoods-1)}
}

func (s *source) batch(size int) []stock.Request {
	reqs := make([]stock.Request, 0, size)
	for range size {
		first, second := s.zipf.Uint64(), s.zipf.Uint64()
		if first == second {
			second = (first + 1) % benchGoods
		}
		lines := []stock.Line{line(fmt.Sprint(first), 1), line(fmt.Sprint(second), 2)}
		slices.SortFunc(lines, func(a, b stock.Line) int { return strings.Compare(a.Goods, b.Goods) })
		s.orders++
		reqs = append(reqs, deduct(fmt.Sprintf("A-%08d", s.orders), lines...)...)
	}
	return reqs
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
