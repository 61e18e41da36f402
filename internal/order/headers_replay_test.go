package order

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReplayKeepsWhatIsForeignAndBeginsAnew(t *testing.T) {
	t.Parallel()
	topics := NewTopics("orders", "g", []time.Duration{time.Second, time.Minute})
	at := time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC)
	original := Message{Topic: "orders", Partition: 3, Offset: 17, Time: at, Key: []byte{0xff, 0}, Value: []byte("{broken"),
		Headers: []Header{{"b", []byte{0xff}}, {"a", nil}, {"a", []byte("second")}, {HeaderTraceParent, []byte("00-x")}}}
	failed := Forward(&original, ParseDelivery(&original), Failure{Code: "goods_unknown", Message: "plum", At: at, Group: "g", NotBefore: at.Add(time.Hour)})
	failed.Topic, failed.Time = topics.Dead, at.Add(time.Minute)

	for _, m := range []Message{original, failed} {
		d := ParseDelivery(&m)
		again := Replay(&m, d, "r-1", topics.AttemptIn(topics.Tiers[0].Topic))
		if diff := cmp.Diff(original.Headers, again.Headers[:4]); diff != "" {
			t.Errorf("foreign headers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]any{original.Key, original.Value}, []any{again.Key, again.Value}); diff != "" {
			t.Errorf("key and value (-want +got):\n%s", diff)
		}
		for _, gone := range []string{HeaderNotBefore, HeaderErrorCode, HeaderErrorMessage, HeaderLastFailedAt, HeaderConsumerGroup} {
			if _, ok := again.Header(gone); ok {
				t.Errorf("%s is still there", gone)
			}
		}
		again.Topic, again.Offset, again.Time = topics.Tiers[0].Topic, 99, at.Add(time.Hour)
		got := ParseDelivery(&again)
		want := Delivery{Origin: d.Origin, OriginTime: at, Attempt: 2, FirstFailedAt: d.FirstFailedAt, ReplayID: "r-1", ReplayCount: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("delivery (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(History(&m), History(&again)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		// What fails in the tier it was put in goes to the next one, never back.
		next, ok := topics.Next(got.Attempt)
		if !ok || next.Topic != topics.Tiers[1].Topic {
			t.Errorf("a failure goes to %q, want %q", next.Topic, topics.Tiers[1].Topic)
		}
		if twice := ParseDelivery(&again).ReplayCount; twice != 1 {
			t.Errorf("replay count %d", twice)
		}
	}
	if n := topics.AttemptIn(topics.Input); n != 1 {
		t.Errorf("attempt in the input topic: %d", n)
	}
}
