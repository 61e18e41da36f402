package faultsuite

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"orderconsumer/internal/crash"
)

// pageHead opens the page of faults. Figures in it, and in pageFound, were written by
// hand: no file of results has them.
const pageHead = `# Faults

Written by ` + "`scripts/faults page`" + ` from what it has measured; rows and totals of runs made at different times were put
together by hand. Every row breaks something on real servers (Kafka 4.3, MySQL 9.7 with binlog and fsync,
Redis 7: ` + "`scripts/servers up`" + `) while consumers in processes of their own work under load. Then everything heals, the backlog drains, and everything that was published is held against the log
and the database, row by row (` + "`internal/proof`" + `): an order that was lost, doubled, oversold, or answered wrongly breaks
the row. ` + "`scripts/faults list`" + ` shows the rows, ` + "`scripts/faults run NAME...`" + ` plays some, ` + "`scripts/faults short`" + ` those
that are played before a change lands. The rows of a full disk start a database of their own (` + "`scripts/servers up mysql2`" + `) with its
data, logs and temporary files on a file system of 400 MB that is mounted for them and gone afterwards. That takes root: where nothing
can be mounted (` + "`scripts/servers mountable`" + ` says why) they say so and are left out.

Consumers had a session timeout of 6 s, a lock of 3 s and retry tiers of 1, 3 and 8 s; each order comes twice
with a chance of 2 %, is cancelled with 3 %, and one event in 200 is broken. A takeover ends when every partition has settled
something after the fault, a hand-over when every partition has settled something that was published after it. Times are those of one machine with two processors that other work shared: a time over
its goal is shown with the goal. *Replayed* are outcomes that stand in the log a second time, because an event was
worked on twice; *pause* is the longest time without an outcome while events were waiting. Of a row that was played more
than once the newest playing is shown, with the slowest times of all. With nothing else on the machine, the last ten playings of the five
rows with a takeover came to 6.2 to 6.5 s with one broker and to 6.3 to 6.9 s with three.

`

// pageFound is what the rows have found.
const pageFound = `
## What these rows have found

What they found was mended and the row played again; the totals above hold that playing alone.

- ` + "`freeze-in-transaction`" + `: an instance frozen between its locks and its COMMIT held the rows of hot goods until it was
  thawed, and all others stood still (51 s; with a machine gone for good it would have been the server's eight hours).
  The database now gives a client up that is silent for 5 s.
- ` + "`panic`" + `: a panic that came once, while a batch held one event alone, made a dead letter of a good event. It goes through
  the retry tiers now.
- ` + "`freeze-first-of-three-brokers`" + `: a broker that hangs goes on taking connections, and the group was joined through it
  again and again: all partitions went on after 99 s, and no other consumer could begin. Only a broker that has answered
  counts as reached now. It still took 24.9 and 26.8 s: each question to the coordinator gave the one before more time, outcomes waited
  twice for the answer of a leader that had been replaced, and the group waited for members whose ids the client had forgotten. All three are mended: 13.7 and 13.9 s, of which 9 are
  the brokers' own; 23.0 s once, when bounds were asked of the former leader, and 19.2 s when that was mended as well.
- ` + "`too-few-files`" + `: an instance that may have 12 files open ended with "an unexpected server error" and was sent to look at the
  brokers. It refuses to start now, and says what is missing; one that has hardly enough warns. The other one, with 64 files and 120
  partitions, crawled at first, and once, when outcomes had no connection of their own from the beginning any more, stood still: its partitions had
  every file, and never gave one back. The row gave up after three minutes with 52,696 of 60,000 events not settled, which it counts as 233
  lost orders and 52,760 findings. Files were shared out then and partitions read in turn: eight hundred outcomes a second. Since each broker
  is asked for all its partitions over one connection, 40 files are enough for all that comes.
- ` + "`kill-broker`" + `: 9.0 s in one playing, on a broker that had some hundred topics of tests to load: for 3 s it was no coordinator yet, and the group came
  together a session later, because the client forgets its member id when it cannot join, and the coordinator waits for the members that it
  had. They are taken out now. On a broker of its own, right after and since, 0.8 to 1.3 s.
- ` + "`broker-resets`" + `: 19 s without an outcome, 9 of them after the last reset. Each attempt to join that a reset cuts off leaves a member behind of which
  the client never learns the id, and the coordinator waits for those until the time for a rebalance is over. That is left as it is: it takes a
  newer version of the request than the client has.
- ` + "`disk-full-backlog`" + `: to a transaction that needs a temporary file a full disk is error 3, "error writing file", which counted as
  the orders' own: batches were halved, and an order that needs such a file by itself would have gone to the retry tiers and in the end
  to the dead letters. What the operating system refuses the server is the database's fault now.
- ` + "`disk-full`" + `: a COMMIT that waits for space keeps its rows. Orders of another batch of the same instance that wanted these went to a
  retry tier after six lock waits. Now none do while the answer to a COMMIT of this process is missing.
  Another instance, which waits for the lock of such goods or meets their rows, cannot know, and still puts a few orders aside: 43 of 61,300
  events in one playing, with an attempt counted.

`

// Page writes the page of faults: of each row the newest result with the slowest
// times of all, and the totals of all.
func Page(w io.Writer, results []Result) error {
	var b strings.Builder
	b.WriteString(pageHead)
	writeTotals(&b, results)
	writeRows(&b, results)
	b.WriteString(pageFound)
	writeElsewhere(&b)
	writePoints(&b)
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func writeTotals(b *strings.Builder, results []Result) {
	var orders, events, lost, oversold int64
	var kills, wrong, failed int
	var took time.Duration
	var faultless int64
	for i := range results {
		r := &results[i]
		if r.Row == soakName {
			faultless += r.Orders
		}
		orders, events, lost, oversold = orders+r.Orders, events+r.Events, lost+r.Lost, oversold+r.Oversold
		kills, wrong, took = kills+r.Kills, wrong+r.Wrong, took+r.Took
		if r.Error != "" {
			failed++
		}
	}
	fmt.Fprintf(b, "All runs: %d rows played, %s of faults, %d orders (%d events), %d consumers killed by SIGKILL; %d lost, %d oversold, %d findings in all, %d rows in which something expected was not seen.",
		len(results), took.Round(time.Second), orders, events, kills, lost, oversold, wrong, failed)
	if faultless > 0 {
		fmt.Fprintf(b, " Of these orders %d are from `%s`, which has no fault.", faultless, soakName)
	}
	b.WriteString("\n\n")
}

func writeRows(b *strings.Builder, results []Result) {
	newest, times, slow := make(map[string]Result), make(map[string]int), make(map[string][]Timing)
	for _, r := range results {
		times[r.Row]++
		slow[r.Row] = append(slow[r.Row], r.Timings...)
		if newest[r.Row].At.Before(r.At) {
			newest[r.Row] = r
		}
	}
	b.WriteString("| # | row | fault | expected besides the promise | played | events | kills | replayed | pause | times | seen | verdict |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range Rows() {
		r, played := newest[row.Name]
		if row.Elsewhere != "" {
			continue
		}
		if !played {
			fmt.Fprintf(b, "| %d | `%s` | %s | %s | - | | | | | | | not played |\n", row.Number, row.Name, row.Fault, row.Expect)
			continue
		}
		fmt.Fprintf(b, "| %d | `%s` | %s | %s | %d times | %d | %d | %d | %.1f s | %s | %s | %s |\n", row.Number, row.Name, row.Fault, row.Expect,
			times[row.Name], r.Events, r.Kills, r.Replayed, r.Pause.Seconds(), timings(slow[row.Name]), strings.Join(r.seen(), "; "), r.Verdict())
	}
}

// timings are the slowest of each kind.
func timings(list []Timing) string {
	slowest := make(map[string]Timing)
	count := make(map[string]int)
	for _, t := range list {
		count[t.What]++
		if t.Took > slowest[t.What].Took {
			slowest[t.What] = t
		}
	}
	var texts []string
	for _, t := range slices.SortedFunc(maps.Values(slowest), func(a, b Timing) int { return cmp.Compare(a.What, b.What) }) {
		text := t.String()
		if n := count[t.What]; n > 1 {
			text += fmt.Sprintf(" (slowest of %d)", n)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// seen is what is worth telling.
func (r *Result) seen() []string {
	seen := slices.Clone(r.Observed)
	if r.Rewinds > 0 {
		seen = append(seen, fmt.Sprintf("%d offsets went backwards", r.Rewinds))
	}
	if r.Error != "" {
		seen = append(seen, strings.ReplaceAll(r.Error, "\n", "; "))
	}
	return append(seen, r.Findings...)
}

func writeElsewhere(b *strings.Builder) {
	b.WriteString("\n## Not here\n\n")
	for _, row := range Rows() {
		if row.Elsewhere != "" {
			fmt.Fprintf(b, "- %d, %s: %s.\n", row.Number, row.Fault, row.Elsewhere)
		}
	}
}

func writePoints(b *strings.Builder) {
	b.WriteString("\n## Crash points\n\n`CRASH_AT=point:N` lets a consumer die by SIGKILL when it passes the point for the Nth time, " +
		"`point:N:stop` freeze, `point:N:panic` panic. For drills only: an instance that has it says so in its log.\n\n")
	for _, point := range crash.Points() {
		fmt.Fprintf(b, "- `%s`\n", point)
	}
}
