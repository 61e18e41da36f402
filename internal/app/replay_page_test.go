package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"orderconsumer/internal/replay"
	"orderconsumer/internal/testkit"
)

func TestReplayPageIsShortAndInWords(t *testing.T) {
	t.Parallel()
	spec := replaySpec{
		Topic: "orders.g.dlq", What: "20000 open letters", Filter: replay.Filter{Types: []string{"order.created"}, Headers: []replay.HeaderFilter{{Name: "code", Value: "goods*"}}},
		Group: "g", Input: "orders", RetryAfter: []time.Duration{5 * time.Second, 5 * time.Minute}, Target: "orders.g.retry.5s",
		Ramp: "1,10,rest", MaxFailed: 0.1, Audit: true, Rate: 1000, Patience: 2 * time.Minute, MaxMessages: 7, MaxReplays: 3, ChangesOnly: true, Horizon: 48 * time.Hour,
	}
	o := replay.Object{ID: "r-1", Note: "a\x1b[2Jb"}
	for i := range int64(20_000) {
		o.Ranges = append(o.Ranges, replay.Range{Topic: "orders.g.dlq", From: 2 * i, To: 2*i + 1})
	}
	var err error
	if o.Spec, err = json.Marshal(spec); err != nil {
		t.Fatal(err)
	}
	page := replayPage(&o, "producer")
	if n := strings.Count(page, "\n"); n > 70 {
		t.Errorf("%d lines", n)
	}
	testkit.WantParts(t, page, "range       orders.g.dlq/0 [0,1), next 0\n", "            and 19960 more; -o json lists all\n",
		"selected    orders.g.dlq: 20000 open letters\n", "filter      type order.created, header code=goods*\n",
		"group       g, which reads orders; retry after 5s, 5m0s\n", "target      orders.g.retry.5s\n",
		"pace        ramp 1,10,rest; at most 1000 messages a second; up to 10% may fail again; patience 2m0s; audited after each stage\n",
		"limits      each message at most 3 times; at most 7 messages; only what changes something; dedup horizon 48h0m0s\n",
		`note        a\x1b[2Jb`)
	o.Spec = []byte("{}x")
	testkit.WantParts(t, replayPage(&o, "producer"), "spec        {}x\n")
}
