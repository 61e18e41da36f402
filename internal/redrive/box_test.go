package redrive

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
)

// dayOfLetters are dead letters of one cause, with one of a thousand reasons each.
type dayOfLetters int

// Letters implements Log.
func (n dayOfLetters) Letters(_ context.Context, visit func(order.Message) error) error {
	for i := range int(n) {
		id := fmt.Sprintf("order-7-%08d", i)
		m := order.Message{Topic: "orders.g.dlq", Partition: i % 12, Offset: int64(i / 12), Key: []byte(id), Time: time.UnixMilli(int64(i)),
			Value: fmt.Appendf(nil, `{"event_id":"e-%s","type":"order.created","order_id":%q,"items":[{"goods_id":"goods-%d","num":2}]}`, id, id, i%1000)}
		failed := order.Forward(&m, order.Delivery{Origin: stock.Origin{Topic: "orders", Partition: i % 12, Offset: int64(i)}, Attempt: 4},
			order.Failure{Code: "goods_unknown", Message: fmt.Sprintf("goods are not in the catalogue: goods-%d", i%1000), At: m.Time, Group: "g"})
		failed.Topic, failed.Partition, failed.Offset, failed.Time = m.Topic, m.Partition, m.Offset, m.Time
		if err := visit(failed); err != nil {
			return err
		}
	}
	return nil
}

// Unsettled implements Log.
func (dayOfLetters) Unsettled(context.Context, func(order.Message) error) error { return nil }

// nothingKnown is a database without orders and marks.
type nothingKnown struct{ Marks }

// Records implements Ledger.
func (nothingKnown) Records(context.Context, []string) (map[string]stock.Record, error) {
	return nil, nil
}

// LetterMarks implements Marks.
func (nothingKnown) LetterMarks(context.Context, string) ([]Mark, error) { return nil, nil }

// What a box holds is what grows while a command runs: docs/redrive.md says how much.
func TestALetterTakesWhatThePageSays(t *testing.T) {
	const letters, most = 50_000, 400
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	box, err := Look(t.Context(), "orders.g.dlq", dayOfLetters(letters), nothingKnown{}, nothingKnown{})
	if err != nil {
		t.Fatal(err)
	}
	each := (held() - before) / letters
	t.Logf("%d bytes each", each)
	if each > most || len(box.Letters) != letters || !box.CreateWaits("order-7-00000001") {
		t.Errorf("%d letters of %d bytes each, at most %d", len(box.Letters), each, most)
	}
}

// Of the letters of one event the youngest counts, wherever events of that offset
// stand elsewhere.
func TestOnlyLettersOfTheSameEventSupersedeOneAnother(t *testing.T) {
	t.Parallel()
	b := Box{}
	for i, origin := range []stock.Origin{{Topic: "a"}, {Topic: "b"}, {Topic: "a", Partition: 1}, {Topic: "a", Offset: 1}, {Topic: "a"}} {
		b.Letters = append(b.Letters, Letter{ID: ID{Offset: int64(i)}, Origin: origin, State: Open})
	}
	b.supersede()
	for i, l := range b.Letters {
		if want := map[bool]State{true: Superseded, false: Open}[i == 0]; l.State != want {
			t.Errorf("letter %d is %s, want %s", i, l.State, want)
		}
	}
}
