package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

const (
	// batchMessages and batchBytes bound what is published at a time. All of a
	// batch can be for one partition, and Kafka refuses a request to a partition
	// of more than max.message.bytes, by default 1 MiB: a larger batch of
	// acceptable messages would not be acceptable.
	batchMessages = 2000
	batchBytes    = 900 << 10
	// headBytes is about what a message takes beside its key and value.
	headBytes = 256
	// aheadMessages and aheadBytes bound what has been read and not been
	// published.
	aheadMessages = 2 * batchMessages
	aheadBytes    = 16 << 20
	// refusedTries is how often a single message must be refused for a reason
	// that will not pass before that is believed.
	refusedTries = 3
	// refusedMost is how many messages in a row may be refused: then it is not
	// them.
	refusedMost = 20
)

// parcel is a message on its way.
type parcel struct {
	message order.Message
	raw     []byte // what goes to the failed file if it is not delivered
	line    int    // where it stands in the input; zero for none
}

// name is what a complaint calls it.
func (p *parcel) name() string {
	if p.line > 0 {
		return fmt.Sprintf("line %d", p.line)
	}
	return "order " + string(p.message.Key)
}

// bytes is what it takes in memory and, about, on the wire.
func (p *parcel) bytes() int64 {
	return int64(min(headBytes+max(len(p.message.Value), len(p.raw)), aheadBytes))
}

// deliverer publishes what a source yields. One batch is under way at a time,
// the next one is read meanwhile: an order's events keep their order even when
// one of them has to be tried again.
type deliverer struct {
	publisher order.Publisher
	session   *cli.Session
	timeout   time.Duration
	tally     *tally
	failed    *failedFile
	// onGivingUp is called once, when there is no more hope.
	onGivingUp func()

	// The rest belongs to the goroutine that calls run.
	progress time.Time // when something was confirmed last
	waiting  bool      // it has been said that things do not go on
	refused  int       // in a row
	hopeless error     // why nothing more is tried
}

func (t *TargetSettings) deliverer(to *target, s *cli.Session, counts *tally, failed *failedFile) *deliverer {
	return &deliverer{
		publisher: to.publisher, session: s, timeout: t.Timeout,
		tally: counts, failed: failed, onGivingUp: func() {},
	}
}

// run returns when everything that the source has yielded is confirmed or in
// the failed file.
func (d *deliverer) run(source iter.Seq[parcel]) {
	ahead := make(chan parcel, aheadMessages)
	room := semaphore.NewWeighted(aheadBytes)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(ahead)
		for p := range source {
			// It cannot fail: the context never ends, and what is asked for is never
			// more than there is. Nor can it wait for ever: what is ahead is drained
			// whatever happens.
			_ = room.Acquire(context.Background(), p.bytes())
			ahead <- p
		}
	})
	for batch := range batches(ahead) {
		d.progress = time.Now()
		d.deliver(batch)
		for i := range batch {
			room.Release(batch[i].bytes())
		}
	}
	reader.Wait()
}

// batches yields what there is, without waiting for more.
func batches(ahead <-chan parcel) iter.Seq[[]parcel] {
	return func(yield func([]parcel) bool) {
		for p := range ahead {
			var batch []parcel
			bytes := int64(0)
			for more := true; more; p, more = ready(ahead) {
				if len(batch) == batchMessages || len(batch) > 0 && bytes+p.bytes() > batchBytes {
					if !yield(batch) {
						return
					}
					batch, bytes = nil, 0
				}
				batch, bytes = append(batch, p), bytes+p.bytes()
			}
			if !yield(batch) {
				return
			}
		}
	}
}

// ready takes the next parcel if it is there.
func ready(ahead <-chan parcel) (p parcel, ok bool) {
	select {
	case p, ok = <-ahead:
	default:
	}
	return p, ok
}

// deliver returns when every parcel of the batch is confirmed or has failed.
func (d *deliverer) deliver(pending []parcel) {
	for try := 1; ; try++ {
		switch {
		case d.session.Abort.Err() != nil:
			d.fail(pending, context.Cause(d.session.Abort))
			return
		case d.hopeless != nil:
			d.fail(pending, d.hopeless)
			return
		}
		unconfirmed, err := d.publish(pending)
		d.confirm(len(pending) - len(unconfirmed))
		if err == nil {
			return
		}
		pending = unconfirmed
		switch half := len(pending) / 2; {
		case d.session.Abort.Err() != nil:
			continue
		case passing(err) && time.Since(d.progress) >= d.timeout:
			d.giveUp(fmt.Errorf("nothing was confirmed for %s: %w", d.timeout, err))
			continue
		case passing(err):
			d.sayWaiting(err)
		case half > 0:
			// One message that is too large has its whole request refused.
			d.deliver(pending[:half])
			d.deliver(pending[half:])
			return
		case try >= refusedTries:
			d.refuse(pending, err)
			return
		}
		d.rest(try)
	}
}

// publish tries once, and returns what is not confirmed in its old order.
func (d *deliverer) publish(pending []parcel) ([]parcel, error) {
	ctx, cancel := context.WithTimeout(d.session.Abort, max(time.Second, d.timeout-time.Since(d.progress)))
	defer cancel()
	messages := make([]order.Message, len(pending))
	for i := range pending {
		messages[i] = pending[i].message
		messages[i].Offset = int64(i) // a message to be written has none: it tells which one comes back
	}
	unconfirmed, err := d.publisher.Publish(ctx, messages)
	left := make([]parcel, len(unconfirmed))
	for i := range unconfirmed {
		left[i] = pending[unconfirmed[i].Offset]
	}
	return left, err
}

// confirm counts n messages that Kafka has.
func (d *deliverer) confirm(n int) {
	if n == 0 {
		return
	}
	d.tally.published.Add(int64(n))
	d.progress, d.refused = time.Now(), 0
	if d.waiting {
		d.waiting = false
		d.session.Say("%s: confirmed, going on", d.session.Name)
	}
}

func (d *deliverer) sayWaiting(err error) {
	if !d.waiting {
		d.waiting = true
		d.session.Say("%s: not confirmed, trying again for %s: %v", d.session.Name, d.timeout, err)
	}
}

// refuse fails the one message that is left, for a reason that is its own or,
// if it happens too often, is not.
func (d *deliverer) refuse(pending []parcel, err error) {
	d.fail(pending, err)
	if errors.Is(err, order.ErrTooLarge) {
		d.tally.tooLarge.Add(int64(len(pending)))
	}
	d.refused++
	if d.refused >= refusedMost {
		d.giveUp(fmt.Errorf("%d messages in a row were refused: %w", d.refused, err))
	}
}

// giveUp ends all trying.
func (d *deliverer) giveUp(why error) {
	d.hopeless = why
	d.session.Say("%s: giving up: %v", d.session.Name, why)
	d.onGivingUp()
}

// fail keeps what was not delivered. It may have been appended all the same
// where the answer was lost; publishing it again does no harm.
func (d *deliverer) fail(pending []parcel, why error) {
	for i := range pending {
		d.tally.undelivered.Add(1)
		d.tally.complaints.add("%s: %v", pending[i].name(), why)
		d.failed.write(pending[i].raw)
	}
}

// rest waits before another try, or until there will be none.
func (d *deliverer) rest(try int) {
	const first, last, doublings = 50 * time.Millisecond, time.Second, 5
	timer := time.NewTimer(min(first<<min(try-1, doublings), last))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.session.Abort.Done():
	}
}

// passing is true for an error that trying again can mend: everything but what
// Kafka has said will stay as it is.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	// An address that refuses connections calls itself permanent.
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	verdict, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return !ok || verdict.Temporary()
}
