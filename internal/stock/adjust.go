package stock

import (
	"fmt"
	"slices"
	"time"
)

// Mode says how an adjustment reads its numbers.
type Mode uint8

const (
	// Set makes each level what the line says, by a movement of the difference
	// ([KindCorrect]). A level that was right already gets a movement of zero: it
	// says that someone counted, and keeps a repeated call from counting again.
	Set Mode = iota + 1
	// Add puts each line on top of the level ([KindRestock]).
	Add
)

// Adjustment changes levels by hand: goods that came in, or a count. Goods that
// are not in the catalogue are created by it.
type Adjustment struct {
	// Ref names the adjustment. A line that was already applied under the same
	// Ref is not applied again, so a call whose answer was lost may be repeated; with
	// another number or mode it is refused.
	Ref  string
	Mode Mode
	// Lines are sorted by goods, each goods once. Num is at least one for Add, at
	// least zero for Set.
	Lines []Line
}

// Adjusted says what one line of an adjustment came to.
type Adjusted struct {
	Goods    string
	Before   int64 // zero when Created
	After    int64
	Created  bool // the goods was not in the catalogue before
	Repeated bool // the line had been applied before, nothing was changed now
}

// Check reports whether the adjustment keeps what its fields promise. The error
// wraps [ErrInvalid].
func (a *Adjustment) Check() error {
	if err := checkID("adjustment", a.Ref); err != nil {
		return err
	}
	least := int64(1)
	switch a.Mode {
	case Add:
	case Set:
		least = 0
	default:
		return fmt.Errorf("%w: adjustment %q has mode %d", ErrInvalid, a.Ref, a.Mode)
	}
	if err := checkLines(a.Lines, least); err != nil {
		return fmt.Errorf("adjustment %q: %w", a.Ref, err)
	}
	for _, line := range a.Lines {
		if line.Num > MaxAvailable {
			return overLimit(line.Goods, line.Num)
		}
	}
	return nil
}

func overLimit(goods string, level int64) error {
	return fmt.Errorf("%w: goods %q would have %d available, the most is %d", ErrInvalid, goods, level, int64(MaxAvailable))
}

// is reports whether a movement under the adjustment's Ref is what the line would
// have made.
func (a *Adjustment) is(line Line, m *Movement) bool {
	if a.Mode == Add {
		return m.Kind == KindRestock && m.Delta == line.Num
	}
	return m.Kind == KindCorrect && m.Balance == line.Num
}

// kind is the kind of the adjustment's movements.
func (a *Adjustment) kind() Kind {
	if a.Mode == Add {
		return KindRestock
	}
	return KindCorrect
}

// Adjust applies one adjustment to the book. applied says of which goods the
// book's owner already holds a movement under the adjustment's Ref. It returns
// an answer per line, in their order, and what is to be written; an error that
// wraps [ErrInvalid] means that nothing may be written.
func (b *Book) Adjust(a *Adjustment, applied map[string]Movement, now time.Time) ([]Adjusted, Changes, error) {
	now = moment(now)
	answers := make([]Adjusted, 0, len(a.Lines))
	var c Changes
	for _, line := range a.Lines {
		before, known := b.Levels[line.Goods]
		if was, ok := applied[line.Goods]; ok {
			if !a.is(line, &was) {
				return nil, Changes{}, fmt.Errorf("%w: %q has been applied to goods %q before with other content: %s of %+d, to %d",
					ErrInvalid, a.Ref, line.Goods, was.Kind, was.Delta, was.Balance)
			}
			answers = append(answers, Adjusted{Goods: line.Goods, Before: before, After: before, Repeated: true})
			continue
		}
		after := line.Num
		if a.Mode == Add {
			after += before
		}
		if after > MaxAvailable {
			return nil, Changes{}, overLimit(line.Goods, after)
		}
		level := Level{Goods: line.Goods, Available: after, UpdatedAt: now, Version: b.Versions[line.Goods] + 1}
		switch {
		case !known:
			c.Created = append(c.Created, level)
		case after != before:
			c.Levels = append(c.Levels, level)
		}
		c.Movements = append(c.Movements, Movement{
			Ref: a.Ref, Goods: line.Goods, Kind: a.kind(), Delta: after - before, Balance: after, At: now,
		})
		answers = append(answers, Adjusted{Goods: line.Goods, Before: before, After: after, Created: !known})
		b.Levels[line.Goods] = after
	}
	slices.SortFunc(c.Movements, compareMovements)
	return answers, c, nil
}
