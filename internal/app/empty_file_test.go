package app

import (
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/testkit"
)

// TestAVariableWithoutAValueNamesNoFile: compose files and charts set all
// variables, those that are not used to nothing.
func TestAVariableWithoutAValueNamesNoFile(t *testing.T) {
	s := testkit.Start(t)
	for _, kind := range []string{"DATABASE_", "KAFKA_", "REDIS_", "CACHE_REDIS_"} {
		for _, name := range []string{"PASSWORD_FILE", "CA_FILE", "CERT_FILE", "KEY_FILE"} {
			t.Setenv(kind+name, "")
		}
	}
	at(t, s)("migrate").want(t, cli.ExitOK)
	at(t, s)("stock", "set", "421", "1").want(t, cli.ExitOK)
	// Every setting of run, up to a server that is not there.
	got := at(t, s)("doctor", "--kafka-brokers="+nowhereBroker, "--redis-url=redis://"+nowhereBroker)
	got.want(t, cli.ExitUnreachable)
	testkit.WantParts(t, got.stdout, "no broker answers at "+nowhereBroker, "redis "+nowhereBroker+": does not answer")
}
