package kafka

import (
	"context"
	"errors"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// againFor is how long a question is asked again that the cluster cannot
	// answer yet: a partition whose leader has just been chosen, a group whose
	// coordinator is being found. A fresh cluster needs a few seconds for its
	// first group.
	againFor = 5 * time.Second
	// againRest is the time between two tries.
	againRest = 100 * time.Millisecond
)

// Busy reports whether err says that the cluster is busy with itself: it will
// answer, but not now.
func Busy(err error) bool {
	var answer kafkago.Error
	return errors.As(err, &answer) && answer.Temporary()
}

// again asks until the answer is not that the cluster is busy with itself.
func again(ctx context.Context, ask func() error) error {
	deadline := time.Now().Add(againFor)
	for {
		err := ask()
		if !Busy(err) || time.Now().After(deadline) {
			return err
		}
		// What the brokers said is worth more than that the wait was cut short.
		if sleep(ctx, againRest) != nil {
			return err
		}
	}
}
