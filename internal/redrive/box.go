package redrive

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// Log reads the topics that matter, each as it stands when it is called.
type Log interface {
	// Letters calls visit for every dead letter of the group.
	Letters(ctx context.Context, visit func(order.Message) error) error
	// Unsettled calls visit for every message in the group's retry tiers that is
	// not settled yet.
	Unsettled(ctx context.Context, visit func(order.Message) error) error
}

// Ledger tells what is recorded about orders.
type Ledger interface {
	// Records returns what is recorded about the orders that are known.
	Records(ctx context.Context, orders []string) (map[string]stock.Record, error)
}

// Marks keeps what was decided about letters.
type Marks interface {
	// LetterMarks are all marks of a topic's letters, those of one in the order of
	// their Seq.
	LetterMarks(ctx context.Context, topic string) ([]Mark, error)
	// MarkLetters adds marks. It fails when a letter has one of that Seq already.
	MarkLetters(ctx context.Context, topic string, marks []Mark) error
}

// Box holds what is known of a group's dead letters, about 360 bytes for each:
// it grows with the dead letters that the log still has, and with nothing else.
type Box struct {
	// Letters in the order of their places.
	Letters []Letter
	topic   string
	marks   Marks
	creates map[string]bool // orders whose create is an open letter or waits in a tier: by order
}

// Look goes through all dead letters of a topic and finds out how each stands.
func Look(ctx context.Context, topic string, log Log, ledger Ledger, marks Marks) (*Box, error) {
	b := &Box{topic: topic, marks: marks, creates: make(map[string]bool)}
	err := b.read(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("read dead letters of %s: %w", topic, err)
	}
	b.supersede()
	err = b.marked(ctx)
	if err == nil {
		err = b.waiting(ctx, log)
	}
	if err == nil {
		err = b.resolve(ctx, ledger)
	}
	if err != nil {
		return nil, fmt.Errorf("how the dead letters of %s stand: %w", topic, err)
	}
	for i := range b.Letters {
		l := &b.Letters[i]
		if l.State == Open && l.Type == order.Created {
			b.creates[l.Order] = true
		}
	}
	return b, nil
}

func (b *Box) read(ctx context.Context, log Log) error {
	words := make(map[string]string)
	var mu sync.Mutex
	err := log.Letters(ctx, func(m order.Message) error {
		mu.Lock()
		defer mu.Unlock()
		b.Letters = append(b.Letters, newLetter(&m, words))
		return nil
	})
	slices.SortFunc(b.Letters, func(x, y Letter) int {
		return cmp.Or(cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	return err
}

// eventPlace names an event by where it was first read, in 16 bytes: there may be as many
// as letters.
type eventPlace struct {
	topic     int32
	partition int32
	offset    int64
}

// supersede finds the letters whose event has failed again since: of those of
// one event the youngest counts.
func (b *Box) supersede() {
	youngest := make(map[eventPlace]int32, len(b.Letters))
	topics := make(map[string]int32)
	for i := range b.Letters {
		l := &b.Letters[i]
		topic, known := topics[l.Origin.Topic]
		if !known {
			topic = int32(len(topics)) //nolint:gosec // there are not that many topics
			topics[l.Origin.Topic] = topic
		}
		its := eventPlace{topic: topic, partition: int32(l.Origin.Partition), offset: l.Origin.Offset} //nolint:gosec // Kafka's own number
		j, twice := youngest[its]
		switch {
		case !twice:
			youngest[its] = int32(i) //nolint:gosec // memory does not hold that many letters
		case younger(l, &b.Letters[j]):
			b.Letters[j].State = Superseded
			youngest[its] = int32(i) //nolint:gosec // see above
		default:
			l.State = Superseded
		}
	}
}

// younger compares two letters of one event, which have one key and so, as a
// rule, one partition.
func younger(a, b *Letter) bool {
	if a.Partition == b.Partition {
		return a.Offset > b.Offset
	}
	return a.At.After(b.At)
}

func (b *Box) marked(ctx context.Context) error {
	marks, err := b.marks.LetterMarks(ctx, b.topic)
	if err != nil {
		return err
	}
	last := make(map[ID]*Mark)
	for i := range marks {
		last[marks[i].ID] = &marks[i]
	}
	for i := range b.Letters {
		l := &b.Letters[i]
		mark := last[l.ID]
		if mark == nil || !mark.AppendedAt.Equal(l.At.Truncate(time.Millisecond)) {
			continue
		}
		l.Mark = mark
		if mark.Kind == MarkArchived && l.State == Open {
			l.State = Archived
		}
	}
	return nil
}

func (b *Box) waiting(ctx context.Context, log Log) error {
	open := make(map[stock.Origin]*Letter)
	for i := range b.Letters {
		if l := &b.Letters[i]; l.State == Open || l.State == Archived {
			open[l.Origin] = l
		}
	}
	var mu sync.Mutex
	return log.Unsettled(ctx, func(m order.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if l := open[order.ParseDelivery(&m).Origin]; l != nil {
			l.State = Waiting
		}
		if event, fault := order.Decode(&m); fault == nil && event.Type == order.Created {
			b.creates[event.OrderID] = true
		}
		return nil
	})
}

// resolveChunk is how many orders are asked for at a time.
const resolveChunk = 2000

func (b *Box) resolve(ctx context.Context, ledger Ledger) error {
	byOrder := make(map[string][]*Letter)
	for i := range b.Letters {
		if l := &b.Letters[i]; l.Type != "" && (l.State == Open || l.State == Waiting) {
			byOrder[l.Order] = append(byOrder[l.Order], l)
		}
	}
	for orders := range slices.Chunk(slices.Sorted(maps.Keys(byOrder)), resolveChunk) {
		records, err := ledger.Records(ctx, orders)
		if err != nil {
			return err
		}
		for id, record := range records {
			for _, l := range byOrder[id] {
				if l.settledBy(&record) {
					l.State = Resolved
				}
			}
		}
	}
	return nil
}

// CreateWaits is true while the order's create is an open dead letter or waits in
// a retry tier: a cancel must not overtake it. A create that was archived is
// not waited for.
func (b *Box) CreateWaits(id string) bool { return b.creates[id] }

// Mark records a decision about letters.
func (b *Box) Mark(ctx context.Context, letters []*Letter, kind MarkKind, note, actor string, now time.Time) error {
	marks := make([]Mark, len(letters))
	for i, l := range letters {
		marks[i] = Mark{ID: l.ID, Seq: 1, AppendedAt: l.At.Truncate(time.Millisecond), Kind: kind, Note: note, Actor: actor, At: now.UTC().Truncate(time.Millisecond)}
		if l.Mark != nil {
			marks[i].Seq = l.Mark.Seq + 1
		}
	}
	return b.marks.MarkLetters(ctx, b.topic, marks)
}
