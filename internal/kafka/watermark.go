package kafka

import (
	"context"
	"sort"
	"sync"
	"time"
)

// watermark knows which offsets of one partition may be committed: all below
// the first that is not done. Committing offset n says that everything below
// n is done, while messages are done in any order; so the highest done offset
// must never be committed, only the end of the contiguous run.
//
// It is written by the partition's reader (begin) and by settlers (Done), and
// read by the committer.
type watermark struct {
	window int // the most offsets begun and not yet below the mark

	mu      sync.Mutex
	room    chan struct{} // closed when the mark moves; nil while nobody waits for it
	entries []entry       // begun, ascending; those before head are gone
	head    int
	next    int64 // the offset that may be committed
	void    bool  // the log is another one: what is done says nothing about it
}

type entry struct {
	offset   int64
	since    time.Time
	appended int64 // Unix milliseconds, by the log's clock
	done     bool
}

func newWatermark(start int64, window int) *watermark {
	return &watermark{window: window, next: start}
}

// begin notes that the message at offset is being worked on, since now, and that
// it was appended to the log before. Offsets ascend,
// with gaps where the log has none. It waits while the window is full: a
// message that does not come to an end must not let the list behind it grow
// without bound.
func (w *watermark) begin(ctx context.Context, offset int64, now, appended time.Time) error {
	for {
		w.mu.Lock()
		if len(w.entries)-w.head < w.window {
			w.entries = append(w.entries, entry{offset: offset, since: now, appended: appended.UnixMilli()})
			w.mu.Unlock()
			return nil
		}
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		w.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Done notes that the message at offset is settled.
func (w *watermark) Done(offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	live := w.entries[w.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].offset >= offset })
	if i == len(live) || live[i].offset != offset {
		return // settled twice, or never begun
	}
	live[i].done = true
	if i > 0 {
		return
	}
	for w.head < len(w.entries) && w.entries[w.head].done {
		w.next = w.entries[w.head].offset + 1
		w.head++
	}
	w.compact()
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// compact moves the live entries to the front once most of the list is gone,
// so that each entry is moved about once.
func (w *watermark) compact() {
	if w.head < len(w.entries)/2 {
		return
	}
	n := copy(w.entries, w.entries[w.head:])
	w.entries, w.head = w.entries[:n], 0
}

// committable is the offset that may be committed: everything below is done. It is
// NoCommit where nothing may be.
func (w *watermark) committable() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.void {
		return NoCommit
	}
	return w.next
}

// from is for the time before the first message: it is begun at another offset.
func (w *watermark) from(offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = offset
}

// end says that nothing may be committed any more.
func (w *watermark) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.void = true
}

// oldest is when the first message that is not done was begun, and when it was
// appended to the log; ok is false when there is none.
func (w *watermark) oldest() (since, appended time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head == len(w.entries) {
		return time.Time{}, time.Time{}, false
	}
	first := w.entries[w.head]
	return first.since, time.UnixMilli(first.appended), true
}
