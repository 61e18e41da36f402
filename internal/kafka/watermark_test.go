package kafka

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestWatermarkNeverPassesAnUnfinishedMessage compares the watermark with the
// plain definition: the committable offset is the first that is not done.
func TestWatermarkNeverPassesAnUnfinishedMessage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.Int64Range(0, 100).Draw(rt, "start")
		w := newWatermark(start, 1000)
		var begun []int64
		done := map[int64]bool{}
		last, offset := start, start
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			if rapid.Bool().Draw(rt, "begin") || len(begun) == 0 {
				offset += rapid.Int64Range(0, 2).Draw(rt, "gap")
				if w.begin(context.Background(), offset, time.Time{}, time.Time{}) != nil {
					rt.Fatal("begin failed")
				}
				begun = append(begun, offset)
				offset++
			} else {
				o := rapid.SampledFrom(begun).Draw(rt, "done")
				w.Done(o)
				done[o] = true
			}
			want := last
			for _, o := range begun {
				if !done[o] {
					break
				}
				want = o + 1
			}
			if got := w.committable(); got != want {
				rt.Fatalf("committable %d, want %d (begun %v, done %v)", got, want, begun, done)
			}
		}
	})
}

func TestWatermark(t *testing.T) {
	t.Parallel()

	t.Run("before the first message is done nothing moves", func(t *testing.T) {
		t.Parallel()
		w := newWatermark(-2, 10) // no commit yet
		if got := w.committable(); got != -2 {
			t.Fatalf("got %d", got)
		}
	})

	t.Run("an offset that was never begun is ignored", func(t *testing.T) {
		t.Parallel()
		w := newWatermark(5, 10)
		w.Done(5)
		w.Done(99)
		if got := w.committable(); got != 5 {
			t.Fatalf("got %d", got)
		}
	})

	t.Run("a full window makes the reader wait until the mark moves", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWatermark(0, 2)
			for o := range int64(2) {
				if err := w.begin(t.Context(), o, time.Now(), time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			begun := make(chan error, 1)
			go func() { begun <- w.begin(t.Context(), 2, time.Now(), time.Time{}) }()
			synctest.Wait()
			w.Done(1) // not the head: no room
			synctest.Wait()
			select {
			case err := <-begun:
				t.Fatalf("began beyond the window: %v", err)
			default:
			}
			w.Done(0)
			if err := <-begun; err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := w.begin(ctx, 3, time.Now(), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := w.begin(ctx, 4, time.Now(), time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		})
	})

	t.Run("the oldest message in flight is the first that is not done", func(t *testing.T) {
		t.Parallel()
		w := newWatermark(0, 10)
		if _, _, ok := w.oldest(); ok {
			t.Fatal("nothing is in flight")
		}
		for o := range int64(3) {
			if err := w.begin(t.Context(), o, time.Unix(o, 0), time.Unix(100+o, 0)); err != nil {
				t.Fatal(err)
			}
		}
		w.Done(0)
		if since, appended, ok := w.oldest(); !ok || since.Unix() != 1 || appended.Unix() != 101 {
			t.Fatalf("got %v %v %v", since, appended, ok)
		}
	})
}

func BenchmarkWatermark(b *testing.B) {
	w := newWatermark(0, 1<<20)
	ctx := context.Background()
	now := time.Now()
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		_ = w.begin(ctx, i, now, time.Time{})
		w.Done(i)
	}
}
