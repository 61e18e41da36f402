package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
)

// ErrStopped is the cause of a context that a signal has ended.
var ErrStopped = errors.New("stopped")

// signalWatch turns signals into the ends of two contexts: stop with the
// first, abort with the second. A third one kills the process, because the
// second is no longer listened for.
type signalWatch struct {
	stop, abort context.Context //nolint:containedctx // they are what the watch is for
	end         func()
	watcher     sync.WaitGroup
}

// watchSignals begins to listen; close ends it.
func watchSignals(signals chan os.Signal, s *Session) *signalWatch {
	stop, stopNow := context.WithCancelCause(context.Background())
	abort, abortNow := context.WithCancelCause(context.Background())
	closed := make(chan struct{})
	w := &signalWatch{stop: stop, abort: abort}
	w.end = sync.OnceFunc(func() {
		close(closed)
		w.watcher.Wait()
		stopNow(nil)
		abortNow(nil)
	})
	w.watcher.Go(func() {
		select {
		case <-closed:
			return
		case got := <-signals:
			s.Say("%s: %s: finishing what is under way; once more to abort", s.Name, got)
			stopNow(fmt.Errorf("%w by %s", ErrStopped, got))
		}
		select {
		case <-closed:
		case got := <-signals:
			signal.Stop(signals)
			abortNow(fmt.Errorf("%w by %s", ErrStopped, got))
		}
	})
	return w
}

// close ends the watch and both contexts.
func (w *signalWatch) close() { w.end() }
