package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/instance"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
)

func TestTooManyDeadLettersStopTheConsumer(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(s *settings.Consumer) { s.Flow.MinDead = 10 })
	for range 100 {
		s.send("{broken")
	}
	i := s.open()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	err := i.Run(ctx, ctx)
	if !errors.Is(err, order.ErrTooManyDead) {
		t.Fatalf("run ended with %v", err)
	}
	positions, err := s.client.Positions(t.Context(), s.settings.Group.Group, []string{s.topics.Input})
	if err != nil {
		t.Fatal(err)
	}
	dead := int64(len(s.read(s.topics.Dead)))
	committed := int64(0)
	for _, p := range positions {
		committed += p.End - p.First - p.Lag()
	}
	if committed > dead || committed == 100 {
		t.Errorf("%d events committed, %d dead letters", committed, dead)
	}
}

// TestAnInstanceThatHasStoppedStaysUp: not ready, out of its group, and with no more dead
// letters than it may write, until it is told to end. Then it says why.
func TestAnInstanceThatHasStoppedStaysUp(t *testing.T) {
	t.Parallel()
	const most = 10
	s := newShop(t, func(s *settings.Consumer) {
		s.Flow.MinDead = most
		s.HTTP = "127.0.0.1:0"
	})
	for range 100 {
		s.send("{broken")
	}
	bound := make(chan net.Addr, 1)
	r := s.start(func(o *instance.Options) {
		o.StayStopped = true
		o.OnListen = func(a net.Addr) { bound <- a }
	})
	defer r.stop()
	ready := fmt.Sprintf("http://%s/readyz?verbose", <-bound)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		response, err := http.Get(ready)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "paused by dead_letters: too many dead letters") {
			break
		}
		select {
		case <-tick.C:
		case err := <-r.done:
			t.Fatalf("the instance ended: %v", err)
		case <-ctx.Done():
			t.Fatalf("readiness does not say what is wrong: %s", body)
		}
	}
	group, err := s.client.DescribeGroup(ctx, s.settings.Group.Group)
	if err != nil || len(group.Members) != 0 {
		t.Errorf("%d members are left in the group: %v", len(group.Members), err)
	}
	if dead := len(s.read(s.topics.Dead)); dead >= most {
		t.Errorf("%d dead letters, want fewer than %d", dead, most)
	}
	r.stop()
	if err := <-r.done; !errors.Is(err, order.ErrTooManyDead) {
		t.Errorf("the instance ended with %v", err)
	}
}
