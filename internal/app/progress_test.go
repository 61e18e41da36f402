package app

import (
	"bytes"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/instance"
	"orderconsumer/internal/job"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// A server that takes connections and says nothing is waited for aloud.
func TestSilentServersAreWaitedForAloud(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	addr := silent.Addr().String()
	database, nowhere := "mysql://orders:geheim@"+addr+"/orders", nowhereRedis
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"group", "describe", "--kafka-brokers", addr}, "waiting for Kafka at " + addr + " to answer, 2s so far\n"},
		{[]string{"stock", "list", "--database-url", database}, "waiting for the database to answer, 2s so far\n"},
		{[]string{"run", "--kafka-brokers", addr, "--redis-url", nowhere, "--database-url", database}, "waiting for Kafka, Redis and the database to answer, 2s so far\n"},
	} {
		t.Run(tt.args[0], func(t *testing.T) {
			t.Parallel()
			testkit.WantParts(t, consume(t, "", tt.args...).want(t, cli.ExitUnreachable).stderr, tt.says)
		})
	}
}

func TestAnImportTellsHowFarItIsWhereNobodyDraws(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for terminal, want := range map[bool]string{false: "1000 of 3000 goods\n2000 of 3000 goods\n", true: ""} {
			var out bytes.Buffer
			talk := cli.NewTalker(&out)
			talk.Terminal = terminal
			b := newBar(&cli.Session{Name: "consumer", Stderr: talk}, 3000, "goods")
			if terminal {
				out.Reset() // what is drawn is the library's
			}
			for _, done := range []int{1000, 2000} {
				time.Sleep(cli.LineEvery)
				b.set(done)
			}
			b.set(3000) // at once
			if got := out.String(); got != want && !terminal || terminal && bytes.Contains(out.Bytes(), []byte("goods\n")) {
				t.Errorf("terminal %v: said %q, want %q", terminal, got, want)
			}
		}
	})
}

func TestAnAuditByAJobTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	consumer, err := settings.DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	list, err := instance.Jobs(consumer, testkit.Start(t).OpenLedger(t), instance.JobTalk{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = list[0].Do(t.Context(), job.Run{Job: instance.JobAudit}); err != nil {
		t.Fatal(err)
	}
	testkit.WantParts(t, log.String(), `msg="audit goes on" orders=0 movements=0 goods=0`)
}
