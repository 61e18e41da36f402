package stocktest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"orderconsumer/internal/stock"
)

// Fault is what goes wrong with one transaction of a [Model].
type Fault uint8

const (
	// NoFault: the transaction commits.
	NoFault Fault = iota
	// Busy: it is rolled back, as by a deadlock.
	Busy
	// CommitLost: it is rolled back, and nobody is told.
	CommitLost
	// AnswerLost: it commits, and nobody is told.
	AnswerLost
	// Unavailable: the database is away.
	Unavailable
)

// Model is a ledger in memory: the same decisions, one transaction at a time.
// It is safe for concurrent use.
type Model struct {
	// Inject, when set before use, chooses what goes wrong with each transaction
	// of Apply and Adjust. It is called with the model locked and must not call
	// back.
	Inject func() Fault
	// Clock tells the time that is recorded; nil means time.Now.
	Clock func() time.Time

	mu        sync.Mutex
	levels    map[string]stock.Level
	records   map[string]stock.Record
	movements map[string][]stock.Movement // by reference, sorted by goods and kind
}

// NewModel returns an empty ledger.
func NewModel() *Model {
	return &Model{
		levels:    make(map[string]stock.Level),
		records:   make(map[string]stock.Record),
		movements: make(map[string][]stock.Movement),
	}
}

func (m *Model) now() time.Time {
	if m.Clock == nil {
		return time.Now()
	}
	return m.Clock()
}

// transact runs decide on a copy of what it touches, the given orders and goods
// and the goods of those orders, and keeps what it changed unless a fault is due.
func (m *Model) transact(ctx context.Context, touched touched, decide func(*stock.Book) (stock.Changes, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fault := NoFault
	if m.Inject != nil {
		fault = m.Inject()
	}
	if fault == Unavailable {
		return fmt.Errorf("injected: %w", stock.ErrUnavailable)
	}
	changes, err := decide(m.book(touched))
	if err != nil || changes.Empty() {
		return err // nothing to commit, so nothing to lose
	}
	switch fault {
	case Busy:
		return fmt.Errorf("injected: %w", stock.ErrBusy)
	case CommitLost:
		return fmt.Errorf("injected, not applied: %w", stock.ErrUnknownCommit)
	case AnswerLost:
		m.keep(&changes)
		return fmt.Errorf("injected, applied: %w", stock.ErrUnknownCommit)
	default:
		m.keep(&changes)
		return nil
	}
}

// touched names what a transaction reads.
type touched struct {
	orders []string
	lines  [][]stock.Line
}

func (m *Model) book(touched touched) *stock.Book {
	book := &stock.Book{Levels: make(map[string]int64), Versions: make(map[string]int64), Records: make(map[string]stock.Record)}
	for _, order := range touched.orders {
		if record, known := m.records[order]; known {
			book.Records[order] = record
			touched.lines = append(touched.lines, record.Lines)
		}
	}
	for _, lines := range touched.lines {
		for _, line := range lines {
			if level, known := m.levels[line.Goods]; known {
				book.Levels[line.Goods], book.Versions[line.Goods] = level.Available, level.Version
			}
		}
	}
	return book
}

// keep is the commit.
func (m *Model) keep(c *stock.Changes) {
	for _, r := range slices.Concat(c.Inserted, c.Updated) {
		m.records[r.Order] = r
	}
	for _, level := range slices.Concat(c.Created, c.Levels) {
		m.levels[level.Goods] = level
	}
	for _, mv := range c.Movements {
		m.movements[mv.Ref] = append(m.movements[mv.Ref], mv)
	}
	for _, mv := range c.Movements {
		slices.SortFunc(m.movements[mv.Ref], func(a, b stock.Movement) int {
			return cmp.Or(cmp.Compare(a.Goods, b.Goods), cmp.Compare(a.Kind, b.Kind))
		})
	}
}

// Apply implements [Ledger].
func (m *Model) Apply(ctx context.Context, reqs []stock.Request) ([]stock.Decision, error) {
	var touched touched
	for i := range reqs {
		if err := reqs[i].Check(); err != nil {
			return nil, err
		}
		touched.orders = append(touched.orders, reqs[i].Order)
		touched.lines = append(touched.lines, reqs[i].Lines)
	}
	var decisions []stock.Decision
	err := m.transact(ctx, touched, func(book *stock.Book) (changes stock.Changes, err error) {
		decisions, changes = book.Decide(reqs, m.now())
		return changes, nil
	})
	if err != nil {
		return nil, err
	}
	return decisions, nil
}

// Adjust implements [Ledger]. Faults are returned, not tried again.
func (m *Model) Adjust(ctx context.Context, a stock.Adjustment) ([]stock.Adjusted, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	var answers []stock.Adjusted
	lines := touched{lines: [][]stock.Line{a.Lines}}
	err := m.transact(ctx, lines, func(book *stock.Book) (changes stock.Changes, err error) {
		applied := make(map[string]stock.Movement)
		for _, mv := range m.movements[a.Ref] {
			if mv.Kind == stock.KindRestock || mv.Kind == stock.KindCorrect {
				applied[mv.Goods] = mv
			}
		}
		answers, changes, err = book.Adjust(&a, applied, m.now())
		return changes, err
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// Lookup implements [Ledger].
func (m *Model) Lookup(ctx context.Context, order string) (stock.Record, error) {
	records, err := m.Records(ctx, []string{order})
	if err != nil {
		return stock.Record{}, err
	}
	record, ok := records[order]
	if !ok {
		return stock.Record{}, fmt.Errorf("order %q: %w", order, stock.ErrNotFound)
	}
	return record, nil
}

// Records implements [Ledger].
func (m *Model) Records(ctx context.Context, orders []string) (map[string]stock.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]stock.Record)
	for _, order := range orders {
		if record, ok := m.records[order]; ok {
			found[order] = record
		}
	}
	return found, ctx.Err()
}

// Movements implements [Ledger].
func (m *Model) Movements(ctx context.Context, ref string) ([]stock.Movement, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.movements[ref]), ctx.Err()
}

// Get implements [Ledger].
func (m *Model) Get(ctx context.Context, goods string) (stock.Level, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	level, ok := m.levels[goods]
	if !ok {
		return level, fmt.Errorf("goods %q: %w", goods, stock.ErrNotFound)
	}
	return level, ctx.Err()
}

// Levels implements [Ledger].
func (m *Model) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]stock.Level)
	for _, g := range goods {
		if level, ok := m.levels[g]; ok {
			found[g] = level
		}
	}
	return found, ctx.Err()
}

// List implements [Ledger].
func (m *Model) List(ctx context.Context, after string, limit int) ([]stock.Level, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []stock.Level
	for _, goods := range slices.Sorted(maps.Keys(m.levels)) {
		if goods > after && len(page) < limit {
			page = append(page, m.levels[goods])
		}
	}
	return page, ctx.Err()
}

// Audit implements [Ledger].
func (m *Model) Audit(ctx context.Context, options stock.AuditOptions) (stock.Summary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	summary := stock.Summary{ByState: make(map[stock.State]int64)}
	report := func(found ...stock.Finding) {
		for _, finding := range found {
			summary.Findings++
			if options.Report != nil {
				options.Report(finding)
			}
		}
	}
	sums := make(map[string]int64)
	for _, ref := range slices.Sorted(maps.Keys(m.movements)) {
		for _, mv := range m.movements[ref] {
			summary.Movements++
			sums[mv.Goods] += mv.Delta
			if _, ok := m.records[ref]; !ok && (mv.Kind == stock.KindDeduct || mv.Kind == stock.KindRelease) {
				report(stock.AuditStray(&mv))
			}
		}
	}
	for _, order := range slices.Sorted(maps.Keys(m.records)) {
		record := m.records[order]
		summary.Orders++
		summary.ByState[record.State]++
		report(stock.AuditOrder(&record, m.movements[order])...)
	}
	for _, goods := range slices.Sorted(maps.Keys(m.levels)) {
		summary.Goods++
		report(stock.AuditLevel(goods, m.levels[goods].Available, sums[goods])...)
	}
	return summary, ctx.Err()
}
