package replay

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/order"
)

const (
	// chunkMessages, chunkBytes and chunkLines bound what passes through the
	// simulation at a time: one question to the database for each chunk.
	chunkMessages = 2000
	chunkBytes    = 4 << 20
	chunkLines    = 8000
)

// stream takes the messages of a source through the simulation, chunk by chunk:
// while one is decided, the database is asked about the next one, and the one
// after that is read. keepValues leaves the messages whole.
func (s *simulation) stream(ctx context.Context, source Source, after Positions, keepValues bool, take func(context.Context, *chunk) error) error {
	group, ctx := errgroup.WithContext(ctx)
	read := make(chan *chunk)
	fetched := make(chan *chunk)
	group.Go(func() error {
		defer close(read)
		return s.read(ctx, source, after, keepValues, read)
	})
	group.Go(func() error {
		defer close(fetched)
		known := make(map[string]struct{})
		for c := range read {
			if err := s.fetch(ctx, c, known); err != nil {
				return err
			}
			if !send(ctx, fetched, c) {
				return ctx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		for c := range fetched {
			if err := s.decide(ctx, c); err != nil {
				return err
			}
			if err := take(ctx, c); err != nil {
				return err
			}
			if c.last {
				return errEnough
			}
		}
		return nil
	})
	err := group.Wait()
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// errEnough ends the reading when the limit is reached.
var errEnough = errors.New("enough")

// read cuts the source into chunks.
func (s *simulation) read(ctx context.Context, source Source, after Positions, keepValues bool, to chan<- *chunk) error {
	at := after.Clone()
	c := &chunk{}
	flush := func() error {
		c.after = at.Clone()
		if !send(ctx, to, c) {
			return ctx.Err()
		}
		c = &chunk{}
		return nil
	}
	err := source.Read(ctx, after, func(m *order.Message) error {
		at.Pass(m)
		c.scanned++
		if step, wanted := s.begin(m); wanted {
			c.lines += len(step.Event.Lines)
			if keepValues {
				c.bytes += Size(m)
			} else {
				step.Message.Key, step.Message.Value, step.Message.Headers = nil, nil, nil
			}
			c.steps = append(c.steps, step)
		}
		if len(c.steps) == chunkMessages || c.bytes >= chunkBytes || c.lines >= chunkLines || c.scanned >= scanChunk {
			return flush()
		}
		return nil
	})
	if err != nil || c.scanned == 0 {
		return err
	}
	return flush()
}

// scanChunk ends a chunk of which the filter wants little, so that it can be said
// how far the reading is.
const scanChunk = 10_000

func send[T any](ctx context.Context, to chan<- T, value T) bool {
	select {
	case to <- value:
		return true
	case <-ctx.Done():
		return false
	}
}
