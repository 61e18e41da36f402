package order

import "sync"

// pauses remembers which dependencies hold the work up, so that the observer
// hears of each pause and of its end once, however many workers meet it.
type pauses struct {
	observer Observer
	mu       sync.Mutex
	down     map[string]bool
}

// on is called with every failed try: the observer gets the newest error.
func (p *pauses) on(dependency string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down[dependency] = true
	p.observer.Paused(dependency, err)
}

// lift is called with every try that succeeds: a pause because of this
// dependency, if there is one, has ended.
func (p *pauses) lift(dependency string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down[dependency] {
		delete(p.down, dependency)
		p.observer.Paused(dependency, nil)
	}
}

// liftAll is called when the flow is over, which holds nothing up any more: the
// next one has pauses of its own, and would not know of these.
func (p *pauses) liftAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for dependency := range p.down {
		p.observer.Paused(dependency, nil)
	}
	clear(p.down)
}
