package publish

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/order"
)

// tally counts what becomes of the events of one run. Many goroutines count.
type tally struct {
	began       time.Time
	published   atomic.Int64
	invalid     atomic.Int64 // refused before they were published
	undelivered atomic.Int64 // not confirmed by Kafka
	late        atomic.Int64 // of the invalid: lines of orders that went out without them
	tooLarge    atomic.Int64 // of the undelivered: larger than the topic takes
	bytes       atomic.Int64 // of the input that have been read
	session     *cli.Session
	complaints  *complaints
}

func newTally(s *cli.Session) *tally {
	return &tally{began: time.Now(), session: s, complaints: &complaints{session: s}}
}

func (t *tally) failed() int64 { return t.invalid.Load() + t.undelivered.Load() }

// publishSummary is the answer of a command that publishes.
type publishSummary struct {
	Topic       string  `json:"topic"`
	Published   int64   `json:"published"`
	Failed      int64   `json:"failed"` // the sum of the next two
	Invalid     int64   `json:"invalid"`
	Undelivered int64   `json:"undelivered"`
	FailedFile  string  `json:"failed_file,omitempty"`
	Stopped     bool    `json:"stopped"` // by a signal
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"events_per_second"`

	Late        int64  `json:"-"` // of the invalid: they came too late for their order
	TooLarge    int64  `json:"-"` // of the undelivered
	Whereabouts string `json:"-"` // of what failed
}

// summary is how things stand.
func (t *tally) summary(topic string, f *failedFile) publishSummary {
	sum := publishSummary{
		Topic:       topic,
		Published:   t.published.Load(),
		Invalid:     t.invalid.Load(),
		Undelivered: t.undelivered.Load(),
		FailedFile:  f.name(),
		Seconds:     time.Since(t.began).Seconds(),
		Late:        t.late.Load(),
		TooLarge:    t.tooLarge.Load(),
		Whereabouts: f.whereabouts(),
	}
	sum.Failed = sum.Invalid + sum.Undelivered
	if sum.Seconds > 0 {
		sum.PerSecond = float64(sum.Published) / sum.Seconds
	}
	return sum
}

// text is the summary for a person, in one line.
func (s publishSummary) text() string {
	text := fmt.Sprintf("published %d to %s, failed %d", s.Published, s.Topic, s.Failed)
	if s.Failed > 0 {
		text += fmt.Sprintf(" (%d invalid, %d undelivered)", s.Invalid, s.Undelivered)
	}
	return text + fmt.Sprintf(", %.1f s, %.0f/s", s.Seconds, s.PerSecond)
}

// shortfall is the error when something was not delivered.
func (s publishSummary) shortfall() error {
	if s.Failed == 0 {
		return nil
	}
	return &cli.Failure{
		Code: cli.ExitFailed,
		Err:  fmt.Errorf("%d of %d events were not published: %s", s.Failed, s.Failed+s.Published, s.Whereabouts),
		Try:  s.remedy(),
	}
}

// remedy is what to do about the failed file. It never has something published
// again that would be refused again, or would contradict what is published.
func (s publishSummary) remedy() string {
	again := fmt.Sprintf("producer publish --topic %s --file %s", s.Topic, s.FailedFile)
	switch {
	case s.FailedFile == "":
		return ""
	case s.Late > 0 && s.Late == s.Failed:
		return "cancel the incomplete orders and publish them whole under new order ids; sort the next file by order_id"
	case s.Late > 0:
		return fmt.Sprintf("take the lines of the %d incomplete orders out of %s, correct the rest, then %s", s.Late, s.FailedFile, again)
	case s.TooLarge > 0 && s.TooLarge == s.Failed:
		return fmt.Sprintf("raise max.message.bytes of topic %s, or split the orders in %s: as they are, they are refused again",
			s.Topic, s.FailedFile)
	case s.TooLarge > 0:
		return fmt.Sprintf("take the %d events that are too large for topic %s out of %s, correct the rest, then %s",
			s.TooLarge, s.Topic, s.FailedFile, again)
	case s.Invalid > 0:
		return "correct " + s.FailedFile + ", then " + again
	default:
		return again
	}
}

// complaintsMost is how many events are named one by one: a file of another
// kind than it was taken for has as many as it has lines.
const complaintsMost = 10

// complaints says what is wrong with events, the first few of them.
type complaints struct {
	session *cli.Session
	shown   bool // they repeat what events say
	mu      sync.Mutex
	count   int
}

// add says one.
func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if c.count <= complaintsMost {
		c.session.Say(format, args...)
	}
}

// words are what an error says, as far as it may be said.
func (c *complaints) words(err error) string {
	if c.shown {
		return err.Error()
	}
	return order.Masked(err)
}

// end says how many were not said.
func (c *complaints) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if more := c.count - complaintsMost; more > 0 {
		c.session.Say("... and %d more", more)
	}
}
