package sim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/proof"
	"orderconsumer/internal/stock"
)

// examine holds what is there at the end against the promise: as every drill
// does (internal/proof), against the reference, and against every commit of an
// offset that the witness saw.
func (w *world) examine(ctx context.Context, auditor *kafka.Client) error {
	t, err := w.readTopics(ctx, auditor)
	if err != nil {
		return err
	}
	t.checkExtras(w)
	t.checkCommits(w)
	t.checkTales(w)
	t.checkLetters(w)
	t.checkRetries(w)
	t.checkCounts(w)
	err = w.checkReference(ctx, t)
	if err != nil {
		return err
	}
	return w.prove(ctx, auditor)
}

// prove is the examination that ends every drill.
func (w *world) prove(ctx context.Context, auditor *kafka.Client) error {
	report, err := proof.Examine(ctx, proof.Case{
		Client: auditor, Ledger: w.database.model, Group: group, Topics: w.topics, Delivered: w.stocked,
		Loads: []proof.Load{{Workload: w.load, Sent: w.sent}},
	})
	if err != nil {
		return err
	}
	for _, finding := range report.Findings {
		w.wrong("%s", finding)
	}
	if !report.Clean() && len(report.Findings) == 0 {
		w.wrong("the proof is not clean: %+v", report)
	}
	if report.Unsettled > 0 {
		w.wrong("%d messages are not settled", report.Unsettled)
	}
	return nil
}

// topics is all that stands in them.
type topics struct {
	mu     sync.Mutex
	events map[place][]order.Message // of the topics that are consumed, by offset
	ends   map[string][]spot         // of an event: outcomes by its id, copies by its origin
	dead   []order.Message
	ids    map[string]int       // how often each event is in the input
	tales  map[string][]chapter // the events of an order in the input
}

// spot is where something stands, and which attempt it is a copy for.
type spot struct {
	place   place
	offset  int64
	attempt int // 0: it is no copy
}

func (w *world) readTopics(ctx context.Context, auditor *kafka.Client) (*topics, error) {
	t := &topics{events: make(map[place][]order.Message), ends: make(map[string][]spot), ids: make(map[string]int), tales: make(map[string][]chapter)}
	for _, topic := range w.topics.All() {
		ranges, err := auditor.Ranges(ctx, topic)
		if err == nil {
			err = auditor.Scan(ctx, ranges, func(m order.Message) error { return t.add(w, m) })
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
	}
	return t, nil
}

func (t *topics) add(w *world, m order.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := spot{place: place{m.Topic, m.Partition}, offset: m.Offset}
	if m.Topic == w.topics.Results {
		o, err := order.DecodeOutcome(m.Value)
		if err != nil {
			return err
		}
		if o.Type != order.OutcomeDead { // a dead letter counts, not what is said about it
			t.ends[o.CausedBy] = append(t.ends[o.CausedBy], at)
		}
		return nil
	}
	d := order.ParseDelivery(&m)
	if m.Topic != w.topics.Input {
		at.attempt = d.Attempt
		if m.Topic == w.topics.Dead {
			at.attempt = order.MaxAttempt + 1
			t.dead = append(t.dead, m)
		}
		t.ends[origin(d.Origin)] = append(t.ends[origin(d.Origin)], at)
	} else if e, err := order.Decode(&m); err == nil {
		if t.ids[e.ID]++; t.ids[e.ID] > 1 {
			w.reached.mark("message appended twice")
		}
		t.tales[e.OrderID] = append(t.tales[e.OrderID], chapter{event: e.ID, spot: at, origin: origin(d.Origin)})
	}
	if m.Topic != w.topics.Dead {
		t.events[at.place] = append(t.events[at.place], m)
	}
	return nil
}

func origin(o stock.Origin) string {
	return o.Topic + "/" + strconv.Itoa(o.Partition) + "/" + strconv.FormatInt(o.Offset, 10)
}

// checkCommits: when an offset was committed, everything below it had an end in
// the log: an outcome, a dead letter, or a copy for a later attempt.
func (t *topics) checkCommits(w *world) {
	checked := make(map[place]int)
	for _, c := range w.witness.commits {
		events := t.events[c.place]
		i := checked[c.place]
		for ; i < len(events) && events[i].Offset < c.offset; i++ {
			if !t.ended(&events[i], c.ends) {
				w.wrong("offset %d of %v was committed %s after the opening, and %d had no end", c.offset, c.place, c.at.Sub(epoch), events[i].Offset)
			}
		}
		checked[c.place] = i
	}
}

// ended reports whether the event had an end before the logs grew beyond ends.
func (t *topics) ended(m *order.Message, ends map[place]int64) bool {
	d := order.ParseDelivery(m)
	there := func(s spot) bool { return s.offset < ends[s.place] && (s.attempt == 0 || s.attempt > d.Attempt) }
	if slices.ContainsFunc(t.ends[origin(d.Origin)], there) {
		return true
	}
	e, err := order.Decode(m)
	return err == nil && slices.ContainsFunc(t.ends[e.ID], there)
}

// checkLetters: a dead letter says what it was, where it stood, why and how often
// it was tried.
func (t *topics) checkLetters(w *world) {
	for i := range t.dead {
		m := &t.dead[i]
		for _, name := range []string{
			order.HeaderOriginalTopic, order.HeaderOriginalPartition, order.HeaderOriginalOffset, order.HeaderErrorCode,
			order.HeaderErrorMessage, order.HeaderAttempt, order.HeaderFirstFailedAt, order.HeaderLastFailedAt, order.HeaderConsumerGroup,
		} {
			if value, ok := m.Header(name); !ok || len(value) == 0 {
				w.wrong("a dead letter has no %s: %q", name, m.Key)
			}
		}
	}
}

// checkRetries: what fails because of the surroundings is not sent to a tier.
func (t *topics) checkRetries(w *world) {
	mayHeal := []string{order.CodeGoodsUnknown, order.CodeGoodsLocked, order.CodeUnknown, order.CodeBusy, order.CodePanic}
	for at, events := range t.events {
		for i := range events {
			code, _ := events[i].Header(order.HeaderErrorCode)
			if at.topic != w.topics.Input && !slices.Contains(mayHeal, string(code)) {
				w.wrong("%s has %q because of %q", at.topic, events[i].Key, code)
			}
		}
	}
}

// checkExtras: of two orders with one id one is dead; orders for goods that never
// come are dead, after all attempts.
func (t *topics) checkExtras(w *world) {
	dead := make(map[string]map[string]bool) // events, by code
	for i := range t.dead {
		code, _ := t.dead[i].Header(order.HeaderErrorCode)
		e, err := order.Decode(&t.dead[i])
		if dead[string(code)] == nil {
			dead[string(code)] = make(map[string]bool)
		}
		dead[string(code)][e.ID] = true
		if err == nil && !extra(e.OrderID) {
			message, _ := t.dead[i].Header(order.HeaderErrorMessage)
			w.wrong("event %s of order %s is dead, and nothing is wrong with it: %s: %s", e.ID, e.OrderID, code, message)
		}
		attempt, _ := t.dead[i].Header(order.HeaderAttempt)
		if string(code) == order.CodeGoodsUnknown && string(attempt) != strconv.Itoa(len(retryAfter)+1) {
			w.wrong("%q is dead after %s attempts", t.dead[i].Key, attempt)
		}
	}
	for n := range w.plan.strangers {
		if id := fmt.Sprintf("%s%de1", strangerPrefix, n); !dead[order.CodeGoodsUnknown][id] {
			w.wrong("%s is not dead, and its goods never came", id)
		}
	}
	conflicts := dead[order.CodeConflict]
	for n := range w.plan.conflicts {
		first, second := fmt.Sprintf("%s%de1", conflictPrefix, n), fmt.Sprintf("%s%de2", conflictPrefix, n)
		if conflicts[first] == conflicts[second] {
			w.wrong("of %s and %s want one dead for conflict, got %t and %t", first, second, conflicts[first], conflicts[second])
		}
	}
}

// extra reports whether the order is one that may end among the dead letters.
func extra(id string) bool {
	return strings.HasPrefix(id, strangerPrefix) || strings.HasPrefix(id, conflictPrefix)
}

// checkCounts: in a world without faults no lock is lost, the instances' own counts
// are exact, and nothing is done twice.
func (t *topics) checkCounts(w *world) {
	if len(w.plan.faults) > 0 {
		return
	}
	if lost := w.reached.Counts()["lock lost"]; lost > 0 {
		w.wrong("without any fault the lock was lost %d times", lost)
	}
	w.counts[order.SettledDead] -= int64(len(t.dead))
	events := 0
	for at, list := range t.events {
		if at.topic == w.topics.Input {
			events += len(list)
		} else {
			w.counts[order.SettledRetried] -= int64(len(list))
		}
	}
	if w.counts[order.SettledDead] != 0 || w.counts[order.SettledRetried] != 0 {
		w.wrong("without any fault dead letters or retries and the counts of them differ: %v", w.counts)
	}
	counted := int64(len(t.dead))
	for _, outcome := range order.SettledOutcomes() {
		if outcome != order.SettledDead && outcome != order.SettledRetried {
			counted += w.counts[outcome]
		}
	}
	if counted != int64(events) {
		w.wrong("without any fault %d events were settled %d times: %v", events, counted, w.counts)
	}
}

// checkReference holds the rows against the reference.
func (w *world) checkReference(ctx context.Context, t *topics) error {
	ids := make(map[string]bool)
	for at, events := range t.events {
		for i := range events {
			if e, err := order.Decode(&events[i]); at.topic == w.topics.Input && err == nil {
				ids[e.OrderID] = true
			}
		}
	}
	var orders []string
	for id := range ids {
		orders = append(orders, id)
	}
	records, err := w.database.model.Records(ctx, orders)
	if err != nil {
		return err
	}
	var goods []string
	for id := range w.stocked {
		goods = append(goods, id)
	}
	levels, err := w.database.model.Levels(ctx, goods)
	if err != nil {
		return err
	}
	w.database.reference.check(w, records, levels)
	return nil
}
