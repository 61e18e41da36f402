package ledger

import "testing"

// TestWorkersHaveConnections: a worker that waits for a connection keeps its goods
// locked meanwhile.
func TestWorkersHaveConnections(t *testing.T) {
	t.Parallel()
	l := openRefused(t, func() error { return nil })
	for workers, want := range map[int]int{16: 22, 64: 70} {
		l.ServeWorkers(workers)
		if got := l.pool.Stats().MaxOpenConnections; got != want {
			t.Errorf("%d workers: %d connections at the most, want %d", workers, got, want)
		}
	}
	if got := ConnsFor(3); got != DefaultMaxConns {
		t.Errorf("the default number of workers: %d connections, want the default, %d", got, DefaultMaxConns)
	}
}
