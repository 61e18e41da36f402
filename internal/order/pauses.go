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

func (p *pauses) over(dependency string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down[dependency] {
		delete(p.down, dependency)
		p.observer.Paused(dependency, nil)
	}
}
