package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/replay/replaysql"
)

func TestReplayListGivesProgramsAllAndPersonsTheNewest(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	const many = 2*replaysPage + 5
	store := replaysql.New(s.ledger)
	for n := range many {
		o, err := store.Begin(t.Context(), replay.Object{ID: fmt.Sprintf("r-%03d", n), Kind: replay.KindReplay, Spec: []byte("{}"),
			Ranges: []replay.Range{{Topic: "orders", From: int64(n), To: int64(n) + 1}}, CreatedAt: time.Now()}, "me")
		if err == nil {
			o.State = replay.Done
			err = store.End(t.Context(), &o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lines := func(r replayed) []string { return strings.Split(strings.TrimSpace(r.stdout), "\n") }
	jsonl := lines(s.replay("list", "-o", "jsonl").want(t, cli.ExitOK))
	if len(jsonl) != many || !strings.Contains(jsonl[0], `"r-044"`) || !strings.Contains(jsonl[many-1], `"r-000"`) {
		t.Errorf("%d lines for a program, want %d: %s", len(jsonl), many, jsonl[0])
	}
	if all := s.replay("list", "-o", "json").want(t, cli.ExitOK); strings.Count(all.stdout, `"id":`) != many {
		t.Errorf("not all for a program: %s", tail(all.stdout))
	}
	if text := lines(s.replay("list").want(t, cli.ExitOK, "the newest 20 shown: --limit 0 shows all")); len(text) != 1+replaysShown {
		t.Errorf("%d lines for a person", len(text))
	}
	if text := lines(s.replay("list", "--limit", "0").want(t, cli.ExitOK)); len(text) != 1+many {
		t.Errorf("%d lines for a person who wants all", len(text))
	}
	if few := s.replay("list", "--limit", "45").want(t, cli.ExitOK); strings.Contains(few.stderr, "--limit 0") {
		t.Errorf("there are no more: %s", few.stderr)
	}
	s.replay("list", "--limit=-1").want(t, cli.ExitUsage, "at least 0", "try: producer replay list --help")
}
