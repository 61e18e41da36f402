package settings

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/stock"
)

// KafkaFailure gives an error of the brokers, or of the network to them, its code and
// the next command. Every other error is what it is.
func KafkaFailure(ctx context.Context, brokers []string, err error) error {
	if _, told := errors.AsType[*cli.Failure](err); told || err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err // when it was stopped by a signal; a time that is over is no signal
	}
	at := strings.Join(brokers, ", ")
	if kafka.LoginFailed(err) || kafka.LoginUnknown(err) || kafka.Denied(err) || TrustFix(at, "KAFKA_", err) != "" {
		return &cli.Failure{
			Code: cli.ExitFailed,
			Err:  fmt.Errorf("not served by Kafka at %s: %w", at, err),
			Try:  "consumer doctor, which says what to set",
		}
	}
	if !kafka.Unanswered(err) {
		return err
	}
	return &cli.Failure{
		Code: cli.ExitUnreachable,
		Err:  fmt.Errorf("no answer from Kafka at %s: %w", at, err),
		Try:  "scripts/servers up, and set KAFKA_BROKERS to what it prints",
	}
}

// DatabaseFailure gives an error of the ledger its code and the next command.
func DatabaseFailure(ctx context.Context, err error) error {
	if _, told := errors.AsType[*cli.Failure](err); told {
		return err
	}
	switch {
	case ctx.Err() != nil: // stopped by a signal
		return err
	case DatabaseAway(ctx, err):
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: DatabaseFix(ctx, err)}
	case errors.Is(err, stock.ErrUnavailable):
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: DatabaseFix(ctx, err)}
	case errors.Is(err, stock.ErrInvalid):
		return &cli.Failure{Code: cli.ExitUsage, Err: err}
	default:
		return err
	}
}
