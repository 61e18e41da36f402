package replaysql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderconsumer/internal/replay"
	"orderconsumer/internal/replay/replaysql"
	"orderconsumer/internal/testkit"
)

// table is an empty table of replays.
type table struct {
	*replaysql.Store
	servers *testkit.Servers
}

func newTable(t *testing.T) table {
	t.Helper()
	servers := testkit.Start(t)
	return table{replaysql.New(servers.OpenLedger(t)), servers}
}

// silence makes the holder of a replay one that has died.
func (s table) silence(t *testing.T, id string) {
	s.servers.Exec(t, func(exec func(query string, args ...any)) {
		exec("UPDATE replays SET beat_at = '2020-01-01 00:00:00' WHERE replay_id = ?", []byte(id))
	})
}

func object(id string, ranges ...replay.Range) replay.Object {
	return replay.Object{
		ID: id, Kind: replay.KindReplay, Ranges: ranges, Spec: json.RawMessage(`{"topic":"\u00e4"}`), Reason: "it's 50 % gone\n", Who: "me@here",
		CreatedAt: time.Date(2026, 11, 23, 1, 2, 3, 4_000_000, time.UTC),
		Progress:  replay.Progress{Total: 7, Positions: replay.Positions{"orders": {3: 17}}},
	}
}

func part(partition int, from, to int64) replay.Range {
	return replay.Range{Topic: "orders", Partition: partition, From: from, To: to}
}

func TestReplayIsReadBackAsItWasRecorded(t *testing.T) {
	t.Parallel()
	s := newTable(t)
	begun, err := s.Begin(t.Context(), object("r-1", part(0, 0, 10)), "first")
	if err != nil {
		t.Fatal(err)
	}
	begun.Progress.Published, begun.Progress.Skipped = 3, map[replay.Class]int64{replay.Conflict: 1}
	if err := s.Save(t.Context(), &begun); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), "r-1")
	if diff := cmp.Diff(begun, got, cmpopts.IgnoreFields(replay.Object{}, "Silent")); err != nil || diff != "" {
		t.Errorf("%v (-recorded +read):\n%s", err, diff)
	}
	if got.Silent > replay.Lease || got.Interrupted() {
		t.Errorf("silent for %s", got.Silent)
	}
	begun.State, begun.Note = replay.Done, "all of it"
	if err := s.End(t.Context(), &begun); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context(), "", 10); err != nil || len(list) != 1 || list[0].State != replay.Done || list[0].Note != "all of it" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := s.Get(t.Context(), "nonsuch"); !errors.Is(err, replay.ErrNoReplay) {
		t.Errorf("nonsuch: %v", err)
	}
}

// TestOneOfManyBegins has many processes begin replays of the same messages at
// once.
func TestOneOfManyBegins(t *testing.T) {
	t.Parallel()
	s := newTable(t)
	const many = 8
	errs := make([]error, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			_, errs[i] = s.Begin(t.Context(), object(fmt.Sprint("r-", i), part(0, int64(i), 10), part(1, 0, 5)), fmt.Sprint("process ", i))
		})
	}
	all.Wait()
	begun := 0
	for i, err := range errs {
		var shared *replay.SharedError
		switch {
		case err == nil:
			begun++
		case !errors.As(err, &shared):
			t.Errorf("process %d: %v", i, err)
		}
	}
	if begun != 1 {
		t.Errorf("%d have begun, want 1", begun)
	}
	if _, err := s.Begin(t.Context(), object("beside", part(0, 10, 20), part(2, 0, 5)), "another"); err != nil {
		t.Errorf("other messages: %v", err)
	}
}

func TestOnlyTheNewestHolderRecords(t *testing.T) {
	t.Parallel()
	s := newTable(t)
	dead, err := s.Begin(t.Context(), object("r-1", part(0, 0, 10)), "first")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), "r-1", "second"); !errors.Is(err, replay.ErrHeld) {
		t.Errorf("resumed while it is worked on: %v", err)
	}
	s.silence(t, "r-1")
	heir, err := s.Resume(t.Context(), "r-1", "second")
	if err != nil || heir.Fence <= dead.Fence || heir.Holder != "second" {
		t.Fatalf("resume: %+v, %v", heir, err)
	}
	for name, record := range map[string]func(context.Context, *replay.Object) error{"save": s.Save, "end": s.End} {
		if err := record(t.Context(), &dead); !errors.Is(err, replay.ErrLost) {
			t.Errorf("%s by the holder that was taken for dead: %v", name, err)
		}
	}
	if err := s.Save(t.Context(), &heir); err != nil {
		t.Error(err)
	}
	if _, err := s.Cancel(t.Context(), "r-1", "enough"); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), &heir); !errors.Is(err, replay.ErrLost) {
		t.Errorf("save after cancel: %v", err)
	}
	if _, err := s.Resume(t.Context(), "r-1", "third"); !errors.Is(err, replay.ErrEnded) {
		t.Errorf("resume after cancel: %v", err)
	}
	if _, err := s.Cancel(t.Context(), "r-1", "again"); !errors.Is(err, replay.ErrEnded) {
		t.Errorf("cancel twice: %v", err)
	}
}

// TestStoppedReplayGivesWay: a stopped replay keeps nobody from its messages, but
// cannot go on while somebody else has them.
func TestStoppedReplayGivesWay(t *testing.T) {
	t.Parallel()
	s := newTable(t)
	o, err := s.Begin(t.Context(), object("r-1", part(0, 0, 10)), "first")
	if err != nil {
		t.Fatal(err)
	}
	o.State = replay.Stopped
	if err := s.End(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	other, err := s.Begin(t.Context(), object("r-2", part(0, 5, 6)), "second")
	if err != nil {
		t.Fatal(err)
	}
	var shared *replay.SharedError
	if _, err := s.Resume(t.Context(), "r-1", "first"); !errors.As(err, &shared) || shared.Other.ID != "r-2" {
		t.Errorf("resume beside another: %v", err)
	}
	other.State = replay.Done
	if err := s.End(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), "r-1", "first"); err != nil {
		t.Errorf("resume: %v", err)
	}
}
