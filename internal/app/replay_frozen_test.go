package app

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"orderconsumer/internal/replay"
	"orderconsumer/internal/replay/replaysql"
)

// TestReplayThatWasFrozenPublishesNothingOnceAnotherHasTakenItOver freezes a replay
// between two batches, as SIGSTOP, a machine that sleeps or a virtual one that is
// moved do: when it wakes its lease is over and another process holds the replay.
func TestReplayThatWasFrozenPublishesNothingOnceAnotherHasTakenItOver(t *testing.T) {
	t.Parallel()
	s := replayedShop(t)
	const perSecond, batch = 50, 10 // a batch is a fifth of a second
	target := s.topics.Tiers[0].Topic
	held, err := s.client.Ranges(t.Context(), s.topics.Input)
	if err != nil {
		t.Fatal(err)
	}
	var ranges []replay.Range
	for _, r := range held {
		ranges = append(ranges, replay.Range(r))
	}
	store := replaysql.New(s.ledger)
	begun, err := store.Begin(t.Context(), replay.Object{ID: "frozen", Kind: replay.KindReplay, Ranges: ranges, Spec: []byte("{}"),
		Reason: "test", Who: "me", CreatedAt: time.Now(), State: replay.Running}, "the first")
	if err != nil {
		t.Fatal(err)
	}
	publisher := s.client.NewPublisher(nil)
	t.Cleanup(func() { _ = publisher.Close() })
	log := replayLog{client: s.client, group: s.settings.Group.Group}
	var frozen atomic.Int64
	first := replay.Executor{
		Source: replay.NewSource(log, ranges), View: s.ledger, Store: store, Log: log, Publisher: publisher,
		Rules:  replay.Rules{MaxReplays: 3, Now: time.Now, Folder: t.TempDir()},
		Topics: s.topics, Target: target, Rate: perSecond, Patience: testTimeout,
		Now: func() time.Time { return time.Now().Add(time.Duration(frozen.Load())) },
		Tell: func(r replay.Report) {
			if r.Phase != replay.PhasePublishing || frozen.Load() > 0 {
				return
			}
			frozen.Store(int64(2 * replay.Lease))
			s.servers.Exec(t, func(exec func(query string, args ...any)) {
				exec("UPDATE replays SET beat_at = '2026-01-01 00:00:00' WHERE replay_id = ?", []byte(begun.ID))
			})
			if _, err := store.Resume(t.Context(), begun.ID, "the second"); err != nil {
				t.Error(err)
			}
		},
	}
	if err := first.Run(t.Context(), t.Context(), &begun); !errors.Is(err, replay.ErrLost) {
		t.Errorf("the first ended with %v", err)
	}
	if n := s.count(target); n != batch {
		t.Errorf("the first has published %d messages, %d of them after the second had taken over", n, n-batch)
	}
}
