package cli

import (
	"fmt"
	"sync"
	"time"
)

// Pace lets what goes on be told every so often, and not at once: what is soon over
// needs no telling.
type Pace struct {
	every time.Duration
	told  time.Time
}

// NewPace is the pace of something that begins now, and is told every [LineEvery].
func NewPace() *Pace { return NewPaceOf(LineEvery) }

// NewPaceOf is the pace of something that begins now.
func NewPaceOf(every time.Duration) *Pace { return &Pace{every: every, told: time.Now()} }

// Due reports whether it is to be told now; then it has been. It is for one goroutine at
// a time.
func (p *Pace) Due() bool {
	if time.Since(p.told) < p.every {
		return false
	}
	p.told = time.Now()
	return true
}

// Waiting says every [LineEvery] what is waited for, until done is called. It is for work
// that does not tell by itself how far it is.
func (s *Session) Waiting(format string, args ...any) (done func()) {
	what, began := fmt.Sprintf(format, args...), time.Now()
	stop := make(chan struct{})
	var teller sync.WaitGroup
	teller.Go(func() {
		tick := time.NewTicker(LineEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.Say("%s, %s so far", what, time.Since(began).Round(time.Second))
			case <-stop:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(stop)
		teller.Wait()
	})
}
