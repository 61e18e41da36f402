package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/testkit"
)

// produce is consume for the producer.
func (n *tenant) produce(args []string, command ...string) string {
	n.t.Helper()
	return n.note(command, producing(n.t, append(command, args...)...))
}

// tenantTiers are the tiers of groupArgs.
var tenantTiers = []time.Duration{time.Millisecond, 2 * time.Millisecond}

// topics are those of the tenant's group.
func (n *tenant) topics() order.Topics {
	return settings.Group{Group: n.group, Topic: n.topic, RetryAfter: tenantTiers}.Topics()
}

// publish has the publisher publish lines.
func (n *tenant) publish(lines ...string) {
	n.t.Helper()
	file := filepath.Join(n.t.TempDir(), "events.jsonl")
	err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.produce(n.kafkaArgs("publisher"), "publish", "--no-validate", "--topic="+n.topic, "--file="+file)
}

// plain is somebody who may see everything.
func (n *tenant) plain() *kafka.Client {
	n.t.Helper()
	client := kafka.Connect(kafka.Config{Brokers: n.servers.PlainBrokers(n.t)})
	n.t.Cleanup(client.Close)
	return client
}

// awaitCoordinator returns when the brokers look after groups: a fresh cluster
// makes the place for that first, which takes longer than a doctor waits.
func (n *tenant) awaitCoordinator() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), testTimeout)
	defer cancel()
	for {
		_, err := n.plain().DescribeGroup(ctx, n.group)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			n.t.Fatal(err)
		}
	}
}

// atWork has a consumer make its topics and, in a process of its own, settle every
// kind of event and answer questions.
func (n *tenant) atWork() {
	n.t.Helper()
	n.consume(n.databaseArgs("operator"), "stock", "set", "421", "10")
	n.consume(n.runArgs(), "run", "--exit-at-end", "--http=")
	n.publish(create("A-1", "421", 2), create("A-2", "421", 20), create("A-1", "421", 2), cancelOf("A-1"), cancelOf("A-9"), create("A-5", "421", 1),
		create("A-3", "ghost", 1), `{"order_id":"A-4","type":"order.created","items":[{"goods_id":"421","num":0}]}`)

	p := watchConsumer(n.t, n.runArgs(), nil)
	for _, path := range []string{"/v1/stock/421", "/v1/stock/ghost", "/v1/stock/421", "/v1/stock/ghost-2", "/v1/orders/A-1"} {
		p.get(path)
	}
	var tiers []string
	for _, tier := range n.topics().Tiers {
		tiers = append(tiers, tier.Topic)
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), testTimeout)
	defer cancel()
	err := n.plain().WaitSettled(ctx, n.group, n.topic, tiers, func(string, int64) {})
	if err != nil {
		n.t.Fatal(err)
	}
	p.await("/v1/stock/421", `"available":9`)
	testkit.WantParts(n.t, p.get("/v1/orders/A-2"), "rejected")
	n.said.WriteString(p.everything() + p.end())
	testkit.WantParts(n.t, n.said.String(), "2 dead")
}

// ofOperator has the operator use everything that is his.
func (n *tenant) ofOperator() {
	n.t.Helper()
	database := n.databaseArgs("operator")
	group := slices.Concat(n.kafkaArgs("operator"), n.groupArgs(), []string{"--topic=" + n.topic})
	both := slices.Concat(database, group)
	imported := filepath.Join(n.t.TempDir(), "stock.csv")
	err := os.WriteFile(imported, []byte("goods_id,num\n422,5\n"), 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.consume(database, "stock", "import", "--file="+imported)
	n.consume(database, "stock", "add", "422", "3")
	testkit.WantParts(n.t, n.consume(database, "stock", "list"), "421", "422")
	n.consume(database, "audit")
	n.consume(both, "audit", "--log")
	n.ofMending(both)

	testkit.WantParts(n.t, n.produce(both, "redrive", "groups"), "schema_invalid", "goods_unknown")
	n.produce(both, "redrive", "retry", "--cause=goods_unknown", "--execute", "--reason=try", "--ramp=none")
	n.produce(both, "redrive", "archive", "--cause=schema_invalid", "--note=no", "--execute")

	replay := slices.Concat(database, n.kafkaArgs("operator"), n.groupArgs(), []string{"--input-topic=" + n.topic})
	n.produce(replay, "replay", "--from=start", "--execute", "--reason=try", "--ramp=none")
	testkit.WantParts(n.t, n.produce(database, "replay", "list"), "try")
}

// ofMending has the operator mend an order that somebody has spoilt.
func (n *tenant) ofMending(both []string) {
	n.t.Helper()
	n.servers.SQL(n.t, "UPDATE "+n.servers.Database+".movements SET delta=-3 WHERE ref='A-5'")
	found := consume(n.t, "", append([]string{"audit", "--log", "-o", "jsonl"}, both...)...).want(n.t, cli.ExitFailed)
	n.said.WriteString(found.stdout + found.stderr)
	findings := filepath.Join(n.t.TempDir(), "findings.jsonl")
	err := os.WriteFile(findings, []byte(found.stdout), 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.consume(n.databaseArgs("operator"), "stock", "add", "--findings="+findings)
	testkit.WantParts(n.t, n.said.String(), "nothing was changed")
	n.consume(n.databaseArgs("operator"), "stock", "add", "--findings="+findings, "--execute")
	testkit.WantParts(n.t, n.said.String(), "order A-5: removed deduct 421 -3, added deduct 421 -1")
	n.consume(both, "audit", "--log")
}

// ofGroup has the operator move the group; the database has no part in it.
func (n *tenant) ofGroup() {
	n.t.Helper()
	group := slices.Concat(n.kafkaArgs("operator"), n.groupArgs(), []string{"--topic=" + n.topic})
	state := filepath.Join(n.t.TempDir(), "group.json")
	err := os.WriteFile(state, []byte(n.consume(group, "group", "describe", "-o", "json")), 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	n.consume(group, "group", "reset", "--to=end", "--topics=all", "--execute")
	n.consume(group, "group", "reset", "--to="+state, "--execute")
}

// ofJobs has the consumer's user run its jobs, the clean-up with what that needs
// beyond the others.
func (n *tenant) ofJobs() {
	n.t.Helper()
	n.consume(n.runArgs(), "job", "list")
	n.consume(n.runArgs(), "job", "run", "audit")
	n.grantSQL(2)
	n.servers.SQL(n.t, "UPDATE "+n.servers.Database+".orders SET decided_at=decided_at-INTERVAL 30 DAY,released_at=released_at-INTERVAL 30 DAY")
	n.consume(n.runArgs(), "job", "run", "clean-up", "--dedup-horizon=2h", "--replay-window=1h")
	if strings.Contains(n.servers.Dump(n.t), "\norders\t") {
		n.t.Error("the clean-up has left old orders")
	}
	n.consume(n.databaseArgs("consumer"), "job", "history")
}

// showsNoSecret fails the test if a password stands in what the programs have
// written, on a screen or in the database.
func (n *tenant) showsNoSecret() {
	n.t.Helper()
	for where, text := range map[string]string{"what was said": n.said.String(), "the database": n.servers.Dump(n.t)} {
		if len(text) < 1000 {
			n.t.Errorf("%s is only %q", where, text)
		}
		for _, secret := range n.secrets {
			if strings.Contains(text, secret) {
				n.t.Errorf("%s has the password %s", where, secret)
			}
		}
	}
}
