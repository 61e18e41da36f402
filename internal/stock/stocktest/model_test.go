package stocktest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"orderconsumer/internal/stock"
)

func TestModel(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) Ledger { return NewModel() })
}

func TestModelFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault   Fault
		err     error
		applied bool
	}{
		"busy is rolled back":                    {Busy, stock.ErrBusy, false},
		"a lost commit is rolled back":           {CommitLost, stock.ErrUnknownCommit, false},
		"a lost answer is applied":               {AnswerLost, stock.ErrUnknownCommit, true},
		"an absent database does nothing at all": {Unavailable, stock.ErrUnavailable, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := NewModel()
			w := newWorld(t, model)
			w.stocked(map[string]int64{"a": 5})
			next := c.fault
			model.Inject = func() Fault {
				fault := next
				next = NoFault
				return fault
			}
			if _, err := model.Apply(w.ctx(), []stock.Request{deduct("1", line("a", 1))}); !errors.Is(err, c.err) {
				t.Errorf("err = %v, want %v", err, c.err)
			}
			if c.applied {
				w.verdicts(w.apply(deduct("1", line("a", 1))), "known deducted")
			} else {
				w.levels(map[string]int64{"a": 5})
				w.verdicts(w.apply(deduct("1", line("a", 1))), "applied deducted")
			}
			w.levels(map[string]int64{"a": 4})
		})
	}
}

// TestModelUnderFaults: a caller that insists gets through any mixture of
// faults, and every order is applied once.
func TestModelUnderFaults(t *testing.T) {
	t.Parallel()
	model := NewModel()
	w := newWorld(t, model)
	w.stocked(map[string]int64{"a": 100, "b": 0})
	rng := rand.New(rand.NewPCG(3, 0))
	hit := make(map[Fault]int)
	model.Inject = func() Fault {
		fault := Fault(rng.IntN(int(Unavailable) + 1))
		hit[fault]++
		return fault
	}
	atOnce(t, w, deduct("1", line("a", 2)), deduct("2", line("b", 1)), release("3"))
	atOnce(t, w, release("1"))
	atOnce(t, w, deduct("4", line("a", 5)))
	w.levels(map[string]int64{"a": 95, "b": 0})
	for fault := range Unavailable + 1 {
		if hit[fault] == 0 {
			t.Errorf("fault %d was never drawn: %v", fault, hit)
		}
	}
}
