package order

import (
	"errors"
	"testing"
	"time"
)

func TestHorizon(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const horizon = 24 * time.Hour
	young, old := now.Add(-horizon), now.Add(-horizon-time.Millisecond)
	body := func(occurred string) []byte {
		return []byte(`{"type":"order.created","order_id":"A-1","items":[{"goods_id":"421","num":2}]` + occurred + `}`)
	}
	origin := func(at time.Time) []Header {
		return []Header{
			{Key: HeaderOriginalTopic, Value: []byte("orders")},
			{Key: HeaderOriginalPartition, Value: []byte("0")},
			{Key: HeaderOriginalOffset, Value: []byte("7")},
			{Key: HeaderOriginalTimestamp, Value: []byte(at.Format(TimeFormat))},
		}
	}
	oldBody := body(`,"occurred_at":"` + old.Format(TimeFormat) + `"`)
	tests := []struct {
		name    string
		message Message
		horizon time.Duration
		dead    bool
	}{
		{"exactly as old as the horizon", Message{Time: young, Value: body("")}, horizon, false},
		{"older by its place in the log", Message{Time: old, Value: body("")}, horizon, true},
		{"older by what the shop says, published again just now", Message{Time: now, Value: oldBody}, horizon, true},
		{"older by where it first stood, sent to a tier just now", Message{Time: now, Value: body(""), Headers: origin(old)}, horizon, true},
		{"young by where it first stood, and by no other time", Message{Time: old, Value: body(""), Headers: origin(now)}, horizon, true},
		{"no horizon", Message{Time: old, Value: oldBody}, 0, false},
		{"no time at all", Message{Value: body("")}, horizon, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := newTask(tt.message, nil, now, tt.horizon)
			if errors.Is(got.fault, ErrTooOld) != tt.dead {
				t.Fatalf("fault %v", got.fault)
			}
			if tt.dead && (got.event.OrderID != "A-1" || got.event.Lines != nil) {
				t.Errorf("event %+v: want its order named, and none of its goods claimed", got.event)
			}
		})
	}
	t.Run("an event that cannot be read is dead for that reason", func(t *testing.T) {
		t.Parallel()
		got := newTask(Message{Time: old, Value: []byte("{")}, nil, now, horizon)
		if _, code := Classify(got.fault); code != CodeMalformedJSON {
			t.Errorf("code %s", code)
		}
	})
	t.Run("it never reaches the ledger", func(t *testing.T) {
		t.Parallel()
		got := newTask(Message{Time: old, Value: body("")}, nil, now, horizon)
		if open := undecided([]*task{got}); len(open) != 0 || got.decision != nil {
			t.Errorf("%d to decide", len(open))
		}
		if fate, code := Classify(got.failure); fate != Dead || code != CodeTooOld {
			t.Errorf("fate %d, code %s", fate, code)
		}
	})
}
