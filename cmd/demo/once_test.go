package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/workload"
)

// truth is what the only wave of a run to the end comes to.
func truth(t *testing.T, orders int, seed uint64) workload.Expect {
	t.Helper()
	w, err := newWave(1, orders, min(max(orders/ordersPerGoods, leastGoods), mostGoods), seed)
	if err != nil {
		t.Fatal(err)
	}
	w.end()
	return w.load.Expect()
}

func TestOnceRunsToTheEndAndAuditsItself(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		orders int
		seed   uint64
	}{
		{"a shop of two thousand orders", 2000, 7},
		{"another one at the same time", 500, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := call("--once", "--orders", strconv.Itoa(tt.orders), "--seed", strconv.FormatUint(tt.seed, 10), "-o", "json")
			if got.code != 0 {
				t.Fatalf("exit code %d: %s%s", got.code, got.stdout, got.stderr)
			}
			var r report
			decoder := json.NewDecoder(strings.NewReader(got.stdout))
			decoder.DisallowUnknownFields()
			err := decoder.Decode(&r)
			if err != nil || decoder.More() {
				t.Fatalf("want one object and nothing else, got %s (%v)", got.stdout, err)
			}
			want := truth(t, tt.orders, tt.seed)
			if r.Published != int64(want.Events()) || r.orders() != int64(want.Orders) ||
				r.Duplicates != int64(want.Duplicates) || r.Dead != int64(want.Broken) {
				t.Errorf("got %+v, want it as in %+v", r, want)
			}
			if r.Lost != 0 || r.Oversold != 0 || r.Findings != 0 {
				t.Errorf("the audit found something: %s", got.stderr)
			}
			if r.Rejected == 0 || r.Retried == 0 || r.Released == 0 {
				t.Errorf("%+v: nothing ran out, was retried, or was released", r)
			}
			if r.Released+r.Voided > int64(want.Cancelled) || r.Voided < int64(want.CancelledFirst)/2 {
				t.Errorf("%d released and %d voided of %d cancelled", r.Released, r.Voided, want.Cancelled)
			}
			if r.Seconds <= 0 || r.OrdersPerSecond <= 0 {
				t.Errorf("it took %v s, %v orders/s", r.Seconds, r.OrdersPerSecond)
			}
		})
	}
}

func TestOnceInWordsForAPerson(t *testing.T) {
	t.Parallel()
	got := call("--once", "--orders", "40")
	if got.code != 0 || !strings.Contains(got.stdout, "0 lost, 0 oversold") {
		t.Errorf("got %+v", got)
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		says string
	}{
		{"fewer orders than none", []string{"--once", "--orders=-1"}, "--orders must not be negative"},
		{"no rate", []string{"--rate=0"}, "--rate must be"},
		{"an output nobody knows", []string{"-o", "xml"}, "xml"},
		{"a word that is no command", []string{"jion"}, "unexpected argument jion"},
		{"stock that is changed behind the demo's back", []string{"stock", "set", "goods-1", "5"}, "try: go run ./cmd/demo stock list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := call(tt.args...)
			if got.code != int(cli.ExitUsage) || !strings.Contains(got.stderr, tt.says) || got.stdout != "" {
				t.Errorf("got %+v, want code %d and %q", got, cli.ExitUsage, tt.says)
			}
		})
	}
}
