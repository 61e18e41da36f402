package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"orderconsumer/internal/crash"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/stocktest"
)

// database is the model ledger with a network before it and weather of its own.
// A reference that shares no code with the product is led beside it.
type database struct {
	world *world
	dice  *chance

	// mu is never held while time passes: a mutex stops a bubble's clock.
	mu        sync.Mutex
	model     *stocktest.Model
	next      stocktest.Fault // of the transaction that is being carried out
	reference *reference
	owners    map[string]string // who applied an order first
	whole     map[string]int    // orders in a batch that panicked, by the first of them
	weather   weather
}

// weather is what happens to transactions: chances, and what lasts.
type weather struct {
	busy, commitLost, answerLost, slow, panics, unknown float64

	slowMost time.Duration
	down     int
	readOnly int
}

func newDatabase(w *world) *database {
	d := &database{
		world: w, dice: newChance(w.plan.seed, 2), model: stocktest.NewModel(),
		reference: newReference(), owners: make(map[string]string), whole: make(map[string]int),
	}
	d.model.Inject = func() stocktest.Fault { return d.next }
	return d
}

// change changes the weather.
func (d *database) change(change func(*weather)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.weather)
}

// deliver brings goods into the stock, past the weather.
func (d *database) deliver(ref string, lines []stock.Line) error {
	if len(lines) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = stocktest.NoFault
	_, err := d.model.Adjust(context.Background(), stock.Adjustment{Ref: ref, Mode: stock.Add, Lines: lines})
	if err == nil {
		d.reference.deliver(lines)
	}
	return err
}

// session is the database as one instance sees it. It implements order.Ledger.
type session struct {
	*database
	instance *instance
}

var (
	errAway     = errors.New("the database is away")
	errReadOnly = errors.New("the database is read-only")
	errOdd      = errors.New("the database answered something that nobody has heard of")
)

// Apply implements order.Ledger.
func (s session) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	fault, slow, err := s.forecast(reqs)
	if err != nil {
		return nil, err
	}
	if err := rest(ctx, s.dice.upTo(s.world.plan.latency)); err != nil {
		return nil, fmt.Errorf("begin: %w: %w", stock.ErrUnavailable, err)
	}
	if slow > 0 {
		s.world.reached.mark("fault " + faultDatabaseSlow)
		if err := rest(ctx, slow); err != nil {
			return nil, s.giveUp(reqs, err)
		}
	}
	s.instance.hook(crash.InTx)
	s.instance.hook(crash.BeforeCommit)
	decisions, err := s.commit(ctx, reqs, fault)
	if err != nil {
		return nil, err
	}
	s.instance.hook(crash.AfterCommit)
	if err := rest(ctx, s.dice.upTo(s.world.plan.latency)); err != nil {
		return nil, fmt.Errorf("commit: %w: %w", stock.ErrUnknownCommit, err)
	}
	return decisions, nil
}

// forecast is what will happen to a transaction.
func (s session) forecast(reqs []stock.Request) (fault stocktest.Fault, slow time.Duration, err error) {
	s.mu.Lock()
	w := s.weather
	if n := s.whole[reqs[0].Order]; n > len(reqs) {
		s.world.reached.mark("batch halved")
	}
	s.mu.Unlock()
	mark := func(kind string) { s.world.reached.mark("fault " + kind) }
	switch {
	case w.down > 0:
		mark(faultDatabaseDown)
		return 0, 0, fmt.Errorf("%w: %w", stock.ErrUnavailable, errAway)
	case w.readOnly > 0:
		mark(faultDatabaseReadOnly)
		return 0, 0, fmt.Errorf("%w: %w", stock.ErrUnavailable, errReadOnly)
	case firstAttempts(reqs) && s.dice.hits(w.panics):
		mark(faultPanic) // at the last attempt it would be a dead letter, and rightly
		s.mu.Lock()
		s.whole[reqs[0].Order] = len(reqs)
		s.mu.Unlock()
		panic("on demand")
	case firstAttempts(reqs) && s.dice.hits(w.unknown):
		mark(faultUnknownError) // the same
		return 0, 0, errOdd
	case s.dice.hits(w.busy):
		mark(faultDatabaseBusy)
		fault = stocktest.Busy
	case s.dice.hits(w.commitLost):
		mark(faultCommitLost)
		fault = stocktest.CommitLost
	case s.dice.hits(w.answerLost):
		mark(faultAnswerLost)
		fault = stocktest.AnswerLost
	case s.dice.hits(w.slow):
		slow = s.dice.upTo(w.slowMost)
	}
	return fault, slow, nil
}

func firstAttempts(reqs []stock.Request) bool {
	for i := range reqs {
		if reqs[i].Attempt > 1 {
			return false
		}
	}
	return true
}

// giveUp ends a transaction that the client no longer waits for. Its COMMIT may
// be with the server all the same, and carried out when the server comes to it.
func (s session) giveUp(reqs []stock.Request, err error) error {
	if s.dice.hits(0.5) {
		return fmt.Errorf("apply: %w: %w", stock.ErrUnavailable, err)
	}
	after := s.dice.upTo(s.world.plan.latency + 2*time.Second)
	s.world.stragglers.Go(func() {
		time.Sleep(after)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.next = stocktest.NoFault
		if _, err := s.model.Apply(context.Background(), reqs); err == nil {
			s.world.reached.mark("transaction applied after it was given up")
			s.reference.apply(s.world, reqs, nil)
		}
	})
	return fmt.Errorf("commit: %w: %w", stock.ErrUnknownCommit, err)
}

// commit carries the transaction out in one instant.
func (s session) commit(ctx context.Context, reqs []stock.Request, fault stocktest.Fault) ([]stock.Decision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance.dead.Load() {
		return nil, fmt.Errorf("%w: connection of a dead instance", stock.ErrUnavailable)
	}
	s.next = fault
	decisions, err := s.model.Apply(ctx, reqs)
	switch {
	case err == nil:
		s.reference.apply(s.world, reqs, decisions)
		s.own(decisions)
	case fault == stocktest.AnswerLost && errors.Is(err, stock.ErrUnknownCommit):
		s.world.reached.mark("transaction applied and not answered")
		s.reference.apply(s.world, reqs, nil)
	}
	return decisions, err
}

// own notes who applied an order first, to see it answered by another.
func (s session) own(decisions []stock.Decision) {
	for i := range decisions {
		id := decisions[i].Record.Order
		owner, known := s.owners[id]
		switch {
		case decisions[i].Verdict == stock.Applied && !known:
			s.owners[id] = s.instance.name
		case decisions[i].Verdict == stock.Known && known && owner != s.instance.name && s.world.died(owner):
			s.world.reached.mark("transaction answered by a dead instance's twin")
		}
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
