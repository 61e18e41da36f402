package app

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
	"orderconsumer/internal/redrive"
)

// redriveShowCommand shows one dead letter whole.
type redriveShowCommand struct {
	redriveCommand
	ID  string `arg:"" help:"The letter's place in the dead-letter topic: partition/offset, as list shows it."`
	Raw bool   `help:"Write the event's bytes and nothing else."`
}

// wholeLetter is a letter with everything that there is about it.
type wholeLetter struct {
	shownLetter
	Key      string         `json:"key"`
	Value    string         `json:"value"`
	Headers  []shownHeader  `json:"headers"`
	History  []shownAttempt `json:"history"`
	Siblings []shownSibling `json:"other_letters_of_the_event"`
}

type shownHeader struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// shownAttempt is one attempt that has failed.
type shownAttempt struct {
	Attempt int    `json:"attempt"`
	At      string `json:"at"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// shownSibling is another letter of the same event.
type shownSibling struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	At     string `json:"at"`
	Reason string `json:"reason"`
}

// Run implements a command.
func (c *redriveShowCommand) Run(ctx context.Context, s *cli.Session) error {
	id, err := redrive.ParseID(c.ID)
	if err != nil {
		return cli.Usage("%w", err)
	}
	d, err := c.openDesk(ctx, s)
	if err != nil {
		return err
	}
	defer d.close()
	letters := d.box.Select(redrive.Filter{IDs: []redrive.ID{id}})
	if len(letters) == 0 {
		return d.nobody(s, c.ID)
	}
	m, err := d.message(ctx, id)
	if err != nil {
		return kafkaFailure(ctx, d.client, err)
	}
	if c.Raw {
		_, err = s.Stdout.Write(m.Value)
		return err
	}
	whole := d.whole(letters[0], m)
	if c.Machine() {
		return c.Object(s.Stdout, whole)
	}
	return whole.write(s.Stdout)
}

// message reads a letter from the log.
func (d *desk) message(ctx context.Context, id redrive.ID) (m *order.Message, err error) {
	at := kafka.Range{Topic: d.topics.Dead, Partition: id.Partition, From: id.Offset, To: id.Offset + 1}
	err = d.client.Scan(ctx, []kafka.Range{at}, func(found order.Message) error {
		m = &found
		return nil
	})
	if err == nil && m == nil {
		err = fmt.Errorf("dead letter %s has been removed from %s meanwhile", id, d.topics.Dead)
	}
	return m, err
}

func (d *desk) whole(l *redrive.Letter, m *order.Message) wholeLetter {
	whole := wholeLetter{shownLetter: d.shown(l), Key: text(m.Key), Value: text(m.Value),
		Headers: []shownHeader{}, History: []shownAttempt{}, Siblings: []shownSibling{}}
	for _, h := range m.Headers {
		whole.Headers = append(whole.Headers, shownHeader{Key: h.Key, Value: text(h.Value)})
	}
	for _, past := range order.History(m) {
		whole.History = append(whole.History, shownAttempt{Attempt: past.Attempt, At: cli.UTC(past.At), Code: past.Code, Message: past.Message})
	}
	for i := range d.box.Letters {
		other := &d.box.Letters[i]
		if other.Origin == l.Origin && other.ID != l.ID {
			whole.Siblings = append(whole.Siblings, shownSibling{ID: other.ID.String(), State: string(other.State), At: cli.UTC(other.At), Reason: other.Reason})
		}
	}
	return whole
}

// text is bytes as a person and JSON can take them; --raw writes them as they
// are.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return fmt.Sprintf("%q", b)
}

// graphic is text as a terminal may have it: whoever publishes an event must not be able
// to move the cursor of who looks at it, or to hide a part of it. What is not graphic is
// written as in a string of Go, but for the control characters in kept.
func graphic(text, kept string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsGraphic(r) || strings.ContainsRune(kept, r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// maxShownValue is how much of a value a person is shown.
const maxShownValue = 4 << 10

// write is the letter for a person.
func (w *wholeLetter) write(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "dead letter %s: %s\n", w.ID, w.State)
	fmt.Fprintf(&b, "  order    %s  %s\n  stands   %s/%d@%d since %s\n  from     %s\n", cli.OrDash(w.OrderID), w.Type, w.Topic, w.Partition, w.Offset, w.At, w.Origin)
	fmt.Fprintf(&b, "  cause    %s\n  reason   %s\n", graphic(w.Cause, ""), graphic(w.Reason, ""))
	if w.Replays > 0 {
		fmt.Fprintf(&b, "  redriven %s before\n", cli.Counted(w.Replays, "time"))
	}
	if w.NotedAt != "" {
		fmt.Fprintf(&b, "  note     %s (%s, %s)\n", graphic(w.Note, ""), graphic(w.NotedBy, ""), w.NotedAt)
	}
	b.WriteString("\nattempts, the last 10 at most:\n")
	for _, a := range w.History {
		fmt.Fprintf(&b, "  %d  %s  %s: %s\n", a.Attempt, a.At, graphic(a.Code, ""), graphic(a.Message, ""))
	}
	for _, other := range w.Siblings {
		fmt.Fprintf(&b, "other letter of the event: %s  %s  %s  %s\n", other.ID, other.State, other.At, graphic(other.Reason, ""))
	}
	fmt.Fprintf(&b, "\nheaders:\n")
	for _, h := range w.Headers {
		fmt.Fprintf(&b, "  %s: %s\n", cli.Shown(h.Key), cli.Shown(h.Value))
	}
	value := w.Value
	if len(value) > maxShownValue {
		value = strings.ToValidUTF8(value[:maxShownValue], "") + fmt.Sprintf("\n... %d bytes in all: --raw writes them", len(w.Value))
	}
	fmt.Fprintf(&b, "\nkey:   %s\nvalue: %s\n", graphic(w.Key, ""), graphic(value, "\n\t"))
	_, err := io.WriteString(to, b.String())
	return err
}
