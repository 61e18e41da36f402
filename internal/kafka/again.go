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

// again asks until the answer is not that the cluster is busy with itself.
func again(ctx context.Context, ask func() error) error {
	deadline := time.Now().Add(againFor)
	for {
		err := ask()
		var answer kafkago.Error
		if !errors.As(err, &answer) || !answer.Temporary() || time.Now().After(deadline) {
			return err
		}
		// What the brokers said is worth more than that the wait was cut short.
		if sleep(ctx, againRest) != nil {
			return err
		}
	}
}
