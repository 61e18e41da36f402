package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/order"
	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// inputRows send what nobody should.
func inputRows() []Row {
	return []Row{
		{Number: 38, Name: "poison", Fault: "three broken events in ten", Expect: "each a dead letter with its bytes; the others go on",
			play: shared("MAX_DEAD_RATIO=0"), setting: setting{broken: 0.45}},
		{Number: 41, Name: "duplicates", Short: true, Fault: "every other order sent twice, and all of the first 2,000 events once more to other partitions",
			Expect: "applied once", play: playDuplicates, setting: setting{duplicates: 0.5}},
		{Number: 42, Name: "conflicts", Fault: "500 order ids sent again with other goods", Expect: "dead letters; stock untouched", play: playConflicts,
			setting: setting{lossy: true}},
		{Number: 43, Name: "late-catalogue", Fault: "half of the goods come into the catalogue 3 s late: retries overtake",
			Expect: "all orders find their end", play: playLateCatalogue},
		{Number: 44, Name: "flash-sale", Short: true, Fault: "10,000 buyers for 100 of one goods, eight instances", Expect: "exactly 100 are sold", play: playFlashSale,
			setting: setting{partitions: 8, orders: 10_000, goods: 1, oneLine: true, share: 0.01, duplicates: 0.05, cancelled: 1e-9, broken: 1e-9}},
		{Number: 46, Name: "redrive", Fault: "dead letters sent back twice", Elsewhere: "tests of internal/app, on the same servers"},
		{Number: 47, Name: "clock-jump", Fault: "the process's clock jumps by an hour",
			Elsewhere: "nothing here moves one process's clock; the simulator does"},
	}
}

func playDuplicates(ctx context.Context, a *act) error {
	err := a.begin(ctx, 3)
	if err != nil {
		return err
	}
	const again = 2000
	made, err := workload.New(a.made)
	if err != nil {
		return err
	}
	publisher := a.place.Client.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // what was confirmed is confirmed
	var messages []order.Message
	for item := range made.Events() {
		if len(messages) == again {
			break
		}
		if item.Kind == workload.Broken {
			continue // nothing of it says that it is the same
		}
		key := append([]byte("elsewhere-"), item.Key...)
		messages = append(messages, order.Message{Topic: a.place.Topics.Input, Key: key, Value: item.Value})
	}
	_, err = publisher.Publish(ctx, messages)
	if err != nil {
		return err
	}
	return a.wait(ctx, 8*time.Second)
}

func playConflicts(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2, "MAX_DEAD_RATIO=0")
	if err == nil {
		err = a.wait(ctx, 3*time.Second)
	}
	err = errors.Join(err, a.dam())
	if err == nil {
		err = a.settled(ctx)
	}
	if err != nil {
		return err
	}
	report, err := a.load.Examine(ctx)
	if err == nil && !report.Clean() {
		err = fmt.Errorf("before the conflicts: %v", report.Findings)
	}
	if err != nil {
		return err
	}
	before, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
	if err != nil {
		return err
	}
	sent, err := a.sendConflicts(ctx)
	if err == nil {
		err = a.settled(ctx)
	}
	if err != nil {
		return err
	}
	after, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
	if err == nil && (after.Movements != before.Movements || after.Orders != before.Orders) {
		err = fmt.Errorf("conflicts changed the ledger: %d movements before, %d after", before.Movements, after.Movements)
	}
	letters, e := a.place.Client.Ranges(ctx, a.place.Topics.Dead)
	dead := -report.Dead
	for _, r := range letters {
		dead += r.Messages()
	}
	a.observe("%d conflicting events, %d new dead letters", sent, dead)
	if err == nil && dead != sent {
		err = fmt.Errorf("%d conflicting events, %d dead letters", sent, dead)
	}
	return errors.Join(err, e)
}

// sendConflicts sends orders under ids that are taken, with other goods.
func (a *act) sendConflicts(ctx context.Context) (int64, error) {
	const most = 500
	other := a.made
	other.Orders, other.GoodsPrefix, other.Seed = most, "other-", other.Seed+1
	other.CancelShare, other.DuplicateShare, other.BrokenShare = 0, 0, 0
	made, err := workload.New(other)
	if err != nil {
		return 0, err
	}
	var messages []order.Message
	for item := range made.Events() {
		messages = append(messages, order.Message{Topic: a.place.Topics.Input, Key: item.Key, Value: item.Value})
	}
	records, err := a.known(ctx, messages)
	if err != nil {
		return 0, err
	}
	publisher := a.place.Client.NewPublisher(nil)
	defer publisher.Close() //nolint:errcheck // what was confirmed is confirmed
	_, err = publisher.Publish(ctx, records)
	return int64(len(records)), err
}

// known are the messages whose order is in the ledger with goods: an order that
// was cancelled first has none to conflict with.
func (a *act) known(ctx context.Context, messages []order.Message) ([]order.Message, error) {
	ids := make([]string, len(messages))
	for i := range messages {
		ids[i] = string(messages[i].Key)
	}
	records, err := a.place.Ledger.Records(ctx, ids)
	var known []order.Message
	for i := range messages {
		if len(records[ids[i]].Lines) > 0 {
			known = append(known, messages[i])
		}
	}
	return known, err
}

func playLateCatalogue(ctx context.Context, a *act) error {
	// The first goods are in the catalogue from the beginning; these are not.
	late := a.made
	late.GoodsPrefix, late.OrderPrefix, late.Orders, late.Seed = "late-", "late-", 2000, late.Seed+1
	late.DuplicateShare, late.BrokenShare = 0.1, 0
	more, err := a.place.NewLateLoad(late)
	if err != nil {
		return err
	}
	defer more.Close()
	err = a.begin(ctx, 2)
	if err != nil {
		return err
	}
	err = more.Publish(ctx, late.Orders*2, a.Rate)
	if err == nil {
		err = a.wait(ctx, 2*time.Second)
	}
	if err != nil {
		return err
	}
	_, err = a.place.Ledger.Import(ctx, ledger.Import{Mode: stock.Add, Lines: more.Deliver(0.5)})
	a.load.With(more)
	if err == nil {
		err = a.wait(ctx, 3*time.Second)
	}
	retried, e := a.retries(ctx)
	a.observe("%d retries", retried)
	if err == nil && retried == 0 {
		err = errors.New("void: nothing had to be tried again")
	}
	return errors.Join(err, e)
}

func playFlashSale(ctx context.Context, a *act) error {
	for range 8 {
		if _, err := a.start("BATCH_SIZE=50"); err != nil {
			return err
		}
	}
	err := a.members(ctx, 8)
	if err != nil {
		return err
	}
	lines := a.load.Deliver(0)
	level, err := a.place.Ledger.Levels(ctx, []string{lines[0].Goods})
	if err == nil && level[lines[0].Goods].Available != 100 {
		err = fmt.Errorf("void: %d are for sale", level[lines[0].Goods].Available)
	}
	if err != nil {
		return err
	}
	err = a.load.Publish(ctx, 2*a.setting.orders, 0)
	if err == nil {
		err = a.settled(ctx)
	}
	if err != nil {
		return err
	}
	own, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
	a.observe("%d sold, %d refused", own.ByState[stock.Deducted], own.ByState[stock.Rejected])
	if err == nil && own.ByState[stock.Deducted] != 100 {
		err = fmt.Errorf("%d were sold, not 100", own.ByState[stock.Deducted])
	}
	return err
}
