package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// nobody is told.
type nobody struct{}

func (nobody) CacheLookups(string, int)               {}
func (nobody) CacheRebuilt(int, time.Duration, error) {}
func (nobody) CacheRefreshed(int, time.Duration)      {}
func (nobody) CacheRefreshLost(int)                   {}
func (nobody) CacheStore(error)                       {}

// silent is a store that is never called: these tests are about who may call it.
type silent struct{ Store }

// TestOneGoesToSee: while the one that goes to see is on its way, what comes back
// late from before the store failed sends nobody after it, and lets nobody in.
func TestOneGoesToSee(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, failed := context.Background(), errors.New("failed")
		g := gate{store: silent{}, observer: nobody{}}
		for range 3 {
			probe, err := g.enter()
			if probe || err != nil {
				t.Fatalf("a store that answers: probe %t, %v", probe, err)
			}
		}
		_ = g.passed(ctx, false, failed)
		if _, err := g.enter(); !errors.Is(err, errShut) {
			t.Fatalf("after a failure: %v", err)
		}
		time.Sleep(shutFor)
		probe, err := g.enter()
		if !probe || err != nil {
			t.Fatalf("after %s: probe %t, %v", shutFor, probe, err)
		}
		ended, end := context.WithCancel(ctx)
		end()
		_ = g.passed(ended, false, ended.Err()) // was not given the time
		if _, err := g.enter(); !errors.Is(err, errShut) {
			t.Errorf("a second one went to see: %v", err)
		}
		_ = g.passed(ctx, false, failed)
		time.Sleep(shutFor)
		if _, err := g.enter(); !errors.Is(err, errShut) {
			t.Errorf("a second one went to see after another failure: %v", err)
		}
		_ = g.passed(ctx, false, nil)
		if _, err := g.enter(); !errors.Is(err, errShut) {
			t.Errorf("an answer from before the failure has opened the way: %v", err)
		}
		_ = g.passed(ctx, probe, nil)
		if probe, err := g.enter(); probe || err != nil {
			t.Errorf("a store that answers again: probe %t, %v", probe, err)
		}
	})
}
