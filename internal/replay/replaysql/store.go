// Package replaysql keeps replays in the database of the stock.
package replaysql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
)

// Store is the table of replays. It is safe for concurrent use.
type Store struct {
	ledger *ledger.Ledger
}

// New returns the table in the ledger's database, which must be migrated.
func New(l *ledger.Ledger) *Store { return &Store{ledger: l} }

const (
	// tries is how often a transaction is run that the database rolled back.
	tries = 5
	// rest is the time between two of them.
	rest = 50 * time.Millisecond
	// longestNote is what is kept of a note.
	longestNote = 2000
)

// do runs one transaction until it is known what became of it.
func (s *Store) do(ctx context.Context, what, id string, fn func(tx) error) error {
	for try := 1; ; try++ {
		err := s.ledger.InTransaction(ctx, func(t ledger.Tx) error { return fn(tx{ctx, t}) })
		if err == nil {
			return nil
		}
		again := errors.Is(err, stock.ErrBusy) || errors.Is(err, stock.ErrUnknownCommit)
		if !again || try == tries || ctx.Err() != nil {
			return fmt.Errorf("%s replay %s: %w", what, id, err)
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
	}
}

// Begin implements replay.Store.
func (s *Store) Begin(ctx context.Context, o replay.Object, holder string) (replay.Object, error) {
	var begun replay.Object
	err := s.do(ctx, "begin", o.ID, func(t tx) error {
		fence, err := t.turn()
		if err != nil {
			return err
		}
		// The answer to an earlier try may have been lost.
		if begun, err = t.get(o.ID); err == nil && begun.Holder == holder {
			return nil
		}
		if !errors.Is(err, replay.ErrNoReplay) {
			return errors.Join(err, errTaken)
		}
		if err := t.refuseShared(&o); err != nil {
			return err
		}
		begun = o
		begun.State, begun.Holder, begun.Fence = replay.Running, holder, fence
		return t.insert(&begun)
	})
	return begun, err
}

var errTaken = errors.New("there is a replay of that id")

// Resume implements replay.Store.
func (s *Store) Resume(ctx context.Context, id, holder string) (replay.Object, error) {
	var o replay.Object
	err := s.do(ctx, "resume", id, func(t tx) error {
		fence, err := t.turn()
		if err != nil {
			return err
		}
		if o, err = t.get(id); err != nil {
			return err
		}
		switch {
		case o.State == replay.Done || o.State == replay.Cancelled:
			return fmt.Errorf("%w: it is %s", replay.ErrEnded, o.State)
		case o.State == replay.Running && !o.Interrupted() && o.Holder != holder:
			return fmt.Errorf("%w by %s", replay.ErrHeld, o.Holder)
		}
		if err := t.refuseShared(&o); err != nil {
			return err
		}
		o.State, o.Holder, o.Fence, o.Note = replay.Running, holder, fence, ""
		_, err = t.exec("UPDATE replays SET state=?,holder=?,fence=?,note='',beats=beats+1,beat_at=CURRENT_TIMESTAMP WHERE replay_id=?",
			string(o.State), holder, fence, []byte(id))
		return err
	})
	return o, err
}

// Save implements replay.Store.
func (s *Store) Save(ctx context.Context, o *replay.Object) error {
	return s.record(ctx, "record progress of", o, replay.Running, "")
}

// End implements replay.Store.
func (s *Store) End(ctx context.Context, o *replay.Object) error {
	return s.record(ctx, "end", o, o.State, o.Note)
}

// record writes what only the holder may write.
func (s *Store) record(ctx context.Context, what string, o *replay.Object, state replay.State, note string) error {
	progress, err := json.Marshal(o.Progress)
	if err != nil {
		return fmt.Errorf("%s replay %s: %w", what, o.ID, err)
	}
	note = strings.ToValidUTF8(note[:min(len(note), longestNote)], "")
	return s.do(ctx, what, o.ID, func(t tx) error {
		n, err := t.exec("UPDATE replays SET progress=?,state=?,note=?,beats=beats+1,beat_at=CURRENT_TIMESTAMP WHERE replay_id=? AND fence=? AND state='running'",
			string(progress), string(state), note, []byte(o.ID), o.Fence)
		if err != nil || n == 1 {
			return err
		}
		// The answer to an earlier try may have been lost.
		now, err := t.get(o.ID)
		if err == nil && now.Fence == o.Fence && now.State == state {
			return nil
		}
		return errors.Join(replay.ErrLost, err)
	})
}

// Cancel implements replay.Store.
func (s *Store) Cancel(ctx context.Context, id, note string) (replay.Object, error) {
	var o replay.Object
	err := s.do(ctx, "cancel", id, func(t tx) error {
		_, err := t.turn()
		if err != nil {
			return err
		}
		if o, err = t.get(id); err != nil {
			return err
		}
		if o.State == replay.Done || o.State == replay.Cancelled {
			return fmt.Errorf("%w: it is %s", replay.ErrEnded, o.State)
		}
		o.State, o.Note = replay.Cancelled, note
		_, err = t.exec("UPDATE replays SET state=?,note=?,beats=beats+1 WHERE replay_id=?", string(o.State), note, []byte(id))
		return err
	})
	return o, err
}

// Get implements replay.Store.
func (s *Store) Get(ctx context.Context, id string) (replay.Object, error) {
	var o replay.Object
	err := s.do(ctx, "read", id, func(t tx) (err error) {
		o, err = t.get(id)
		return err
	})
	return o, err
}

// List implements replay.Store.
func (s *Store) List(ctx context.Context, before string, limit int) ([]replay.Object, error) {
	var list []replay.Object
	err := s.do(ctx, "list", "", func(t tx) (err error) {
		if before == "" {
			list, err = t.list("ORDER BY replay_id DESC LIMIT ?", limit)
		} else {
			list, err = t.list("WHERE replay_id < ? ORDER BY replay_id DESC LIMIT ?", []byte(before), limit)
		}
		return err
	})
	return list, err
}
