package sim

import (
	"maps"
	"slices"
	"sync"

	"orderconsumer/internal/crash"
)

// Reached counts what happened, by name: faults that met something, rare paths
// that were taken. A run that did not come to all of them proves less than it
// seems to. The zero value is ready to use, by many goroutines.
type Reached struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (r *Reached) mark(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]int64)
	}
	r.counts[name]++
}

// Counts is a copy of what was reached how often.
func (r *Reached) Counts() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (r *Reached) add(other map[string]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]int64)
	}
	for name, n := range other {
		r.counts[name] += n
	}
}

// Missing are the names that should have been reached and were not, sorted.
func (r *Reached) Missing() []string {
	counts := r.Counts()
	return slices.DeleteFunc(Sometimes(), func(name string) bool { return counts[name] > 0 })
}

// Sometimes are the names that a long enough run must reach, sorted; without
// one of them it is void. Marks outside of this list are told and not asked for.
func Sometimes() []string {
	names := slices.Clone(rarePaths)
	for _, kind := range faultKinds {
		names = append(names, "fault "+kind)
	}
	for _, point := range crash.Points() {
		names = append(names, "crash "+string(point))
	}
	slices.Sort(names)
	return names
}

// rarePaths are what the product does when things go wrong, as its observers
// tell it, and what the world saw.
var rarePaths = []string{
	"settled deducted", "settled rejected", "settled released", "settled voided", "settled duplicate",
	"retried goods_unknown", "retried unknown_failure", "retried goods_locked", "retried panic",
	"dead malformed_json", "dead schema_invalid", "dead invalid_utf8", "dead duplicate_member",
	"dead conflict", "dead goods_unknown",
	"again database_busy", "again lock_lost",
	"paused database", "paused redis", "paused kafka",
	"lock lost", "lock redis_down", "lock unlock",
	"commit failed", "offset went back",
	"publication not confirmed",
	"transaction applied and not answered", "transaction applied after it was given up", "transaction answered by a dead instance's twin",
	"message appended twice",
	"batch halved",
	"left in time",
	"stopped because messages were removed unread",
	"told that goods were taken away", "outcomes of one order",
	"a world without faults",
}
