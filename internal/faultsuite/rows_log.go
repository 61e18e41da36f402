package faultsuite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"orderconsumer/internal/stock"
)

func playNoDeadTopic(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	dead := a.place.Topics.Dead
	letters, err := a.place.Client.Ranges(ctx, dead)
	if err != nil {
		return err
	}
	gone := int64(0)
	for _, r := range letters {
		gone += r.Messages()
	}
	// What was dead-lettered before goes with the topic, and is not to be missed.
	a.setting.lossy = gone > 0
	err = a.place.Client.DeleteTopics(ctx, []string{dead})
	if err != nil {
		return err
	}
	if err = a.wait(ctx, 10*time.Second); err != nil {
		return err
	}
	left, err := a.place.Left(ctx)
	if err != nil {
		return err
	}
	a.observe("%d messages held back while there was no topic; %d dead letters deleted with it", left, gone)
	if left == 0 {
		return errors.New("nothing is held back, though dead letters had nowhere to go")
	}
	return a.place.Restore(ctx)
}

func playRetention(ctx context.Context, a *act) error {
	c, err := a.start()
	if err != nil {
		return err
	}
	err = a.load.Publish(ctx, 3000, 0)
	if err == nil {
		err = a.settled(ctx)
	}
	err = errors.Join(err, c.Stop())
	if err != nil {
		return err
	}
	err = a.load.Publish(ctx, 3000, 0)
	if err != nil {
		return err
	}
	err = a.removeRecords(ctx, 100)
	if err != nil {
		return err
	}
	refused, err := a.start()
	if err != nil {
		return err
	}
	select {
	case <-refused.Done():
	case <-time.After(membersFor):
		return errors.New("the consumer goes on, though the log has lost what it has not read")
	}
	if refused.Stop() == nil || a.logged("removed before they were read") == 0 {
		return errors.New("the consumer ended without saying what is lost")
	}
	a.observe("refused to start; went on with ACCEPT_DATA_LOSS")
	_, err = a.start("ACCEPT_DATA_LOSS=true")
	if err != nil {
		return err
	}
	return a.settled(ctx)
}

// settled waits until nothing is left.
func (a *act) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	return a.place.AwaitLeft(ctx, 0, nil)
}

// removeRecords moves the log's start so far past the committed offsets.
func (a *act) removeRecords(ctx context.Context, past int64) error {
	positions, err := a.place.Client.Positions(ctx, a.place.Group, []string{a.place.Topics.Input})
	if err != nil {
		return err
	}
	type record struct {
		Topic     string `json:"topic"`
		Partition int    `json:"partition"`
		Offset    int64  `json:"offset"`
	}
	var records []record
	for _, p := range positions {
		records = append(records, record{p.Topic, p.Partition, min(p.Committed+past, p.End)})
	}
	text, err := json.Marshal(map[string]any{"version": 1, "partitions": records})
	if err != nil {
		return err
	}
	file := filepath.Join(a.Logs, a.place.Group+"-records.json")
	err = os.WriteFile(file, text, 0o600)
	if err != nil {
		return err
	}
	return a.Servers.KafkaTool(ctx, "DeleteRecordsCommand", "--offset-json-file", file)
}

func playReplay(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err == nil {
		err = a.wait(ctx, 5*time.Second)
	}
	if err == nil {
		err = a.dam()
	}
	if err == nil {
		err = a.settled(ctx)
	}
	for _, c := range a.alive() {
		err = errors.Join(err, c.Stop())
	}
	if err != nil {
		return err
	}
	before, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
	if err != nil {
		return err
	}
	err = a.place.Client.DeleteGroup(ctx, a.place.Group)
	if err != nil {
		return err
	}
	if _, err = a.start(); err != nil {
		return err
	}
	err = a.settled(ctx)
	if err != nil {
		return err
	}
	after, err := a.place.Ledger.Audit(ctx, stock.AuditOptions{})
	if err == nil && (before.Orders != after.Orders || before.Movements != after.Movements) {
		err = fmt.Errorf("%d orders and %d movements before the replay, %d and %d after it",
			before.Orders, before.Movements, after.Orders, after.Movements)
	}
	a.observe("%d orders, %d movements before and after", after.Orders, after.Movements)
	return err
}

func playMorePartitions(ctx context.Context, a *act) error {
	err := a.begin(ctx, 2)
	if err != nil {
		return err
	}
	began := time.Now()
	err = a.Servers.KafkaTool(ctx, "TopicCommand", "--alter", "--topic", a.place.Topics.Input, "--partitions", "12")
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, membersFor)
	defer cancel()
	for {
		positions, err := a.place.Client.Positions(waiting, a.place.Group, []string{a.place.Topics.Input})
		read := 0
		for _, p := range positions {
			if p.Committed > 0 {
				read++
			}
		}
		if err == nil && read == 12 {
			a.timed("all 12 partitions read", time.Since(began), 0)
			return nil
		}
		if !rest(waiting, pollEvery) {
			return fmt.Errorf("of 12 partitions %d are read", read)
		}
	}
}
