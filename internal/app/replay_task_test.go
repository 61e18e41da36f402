package app

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/replay"
	"orderconsumer/internal/stock"
)

// A plan reads from two servers at once: the failure is that of the one that fails.
func TestFailureOfAPlanNamesTheServer(t *testing.T) {
	t.Parallel()
	s := newShop(t, onePartition)
	s.sendMessages(order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte("{}")},
		order.Message{Topic: s.topics.Input, Key: []byte("A-1"), Value: []byte("{}")})
	task := &replayTask{client: s.client}
	told := func(err error) *cli.Failure {
		t.Helper()
		failure, ok := errors.AsType[*cli.Failure](task.failure(t.Context(), fmt.Errorf("plan: %w", err)))
		if !ok || failure.Try == "" {
			t.Fatalf("no code and no next command: %v", err)
		}
		return failure
	}
	if got := told(&logError{io.ErrUnexpectedEOF}); got.Code != cli.ExitUnreachable || !strings.Contains(got.Try, "KAFKA_BROKERS") {
		t.Errorf("Kafka: exit %d: %v", got.Code, got)
	}
	if got := told(fmt.Errorf("look: %w", stock.ErrUnavailable)); got.Code != cli.ExitUnreachable || strings.Contains(got.Try, "KAFKA_BROKERS") {
		t.Errorf("the database: exit %d: %v", got.Code, got)
	}

	// What is of the log, and what of whoever reads it.
	log := replayLog{client: s.client, group: s.settings.Group.Group}
	all := replay.Range{Topic: s.topics.Input, To: 2}
	full := errors.New("the disk is full")
	err := log.Scan(t.Context(), all, func(order.Message) error { return full })
	if _, kafkas := errors.AsType[*logError](err); kafkas || !errors.Is(err, full) {
		t.Errorf("the reader's error: %v", err)
	}
	s.servers.DeleteRecords(t, s.topics.Input, 0, 1)
	err = log.Scan(t.Context(), all, func(order.Message) error { return nil })
	if _, kafkas := errors.AsType[*logError](err); !kafkas || !errors.Is(err, kafka.ErrDataLoss) {
		t.Errorf("the log's error: %v", err)
	}
	if got := told(err); got.Code != cli.ExitFailed {
		t.Errorf("removed messages: exit %d: %v", got.Code, got)
	}
}

func TestCancelsHeldBackBeyondThePlanNameHowToBringThemBack(t *testing.T) {
	t.Parallel()
	held := func(kind string, planned *int64) *replay.Object {
		return &replay.Object{Kind: kind, Progress: replay.Progress{PlannedHeldBack: planned, Skipped: map[replay.Class]int64{replay.HeldBack: 3}}}
	}
	for _, o := range []*replay.Object{held(replay.KindReplay, new(int64(3))), held(replay.KindReplay, nil)} { // nil: begun by an older program
		if err := heldBackFailure(o); err != nil {
			t.Errorf("as planned: %v", err)
		}
	}
	for kind, try := range map[string]string{replay.KindReplay: "replay --findings", replay.KindRedrive: "redrive retry --type order.cancelled"} {
		failure, ok := errors.AsType[*cli.Failure](heldBackFailure(held(kind, new(int64(1)))))
		if !ok || failure.Code != cli.ExitPartial || !strings.Contains(failure.Try, try) || !strings.Contains(failure.Error(), "2 cancels more") {
			t.Errorf("%s: %+v", kind, failure)
		}
	}
}
