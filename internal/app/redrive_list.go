package app

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/redrive"
)

// LetterStates choose letters by what has become of them.
type LetterStates struct {
	State []string `default:"open" enum:"open,waiting,resolved,superseded,archived,all" help:"Those in these states. open: nothing was done about it. waiting: redriven, and waits in a retry tier. resolved: its order is known by now. superseded: it has failed again, a later letter says why. archived. all."`
}

// states are the states to show; none means all.
func (c LetterStates) states() []redrive.State {
	var states []redrive.State
	for _, word := range c.State {
		if word == "all" {
			return nil
		}
		states = append(states, redrive.State(word))
	}
	return states
}

// redriveGroupsCommand shows dead letters by cause.
type redriveGroupsCommand struct {
	redriveCommand
	LetterStates
}

// shownCause is a group of letters as it is written for programs.
type shownCause struct {
	Cause   string `json:"cause"`
	Code    string `json:"code"`
	Letters int    `json:"letters"`
	Orders  int    `json:"orders"`
	Again   int    `json:"failed_again"` // of them, those that were redriven before
	First   string `json:"first"`
	Last    string `json:"last"`
	Example string `json:"example"` // the youngest letter
	Reason  string `json:"reason"`  // of the example
}

// Run implements a command.
func (c *redriveGroupsCommand) Run(ctx context.Context, s *cli.Session) error {
	d, err := c.openDesk(ctx, s)
	if err != nil {
		return err
	}
	defer d.close()
	letters := d.box.Select(redrive.Filter{States: c.states()})
	if len(letters) == 0 {
		s.Say("%s", d.quiet())
	}
	rows := []shownCause{}
	for _, g := range redrive.Groups(letters) {
		rows = append(rows, shownCause{Cause: g.Cause, Code: g.Code, Letters: g.Letters, Orders: g.Orders, Again: g.Again,
			First: cli.UTC(g.First), Last: cli.UTC(g.Last), Example: g.Example.ID.String(), Reason: g.Example.Reason})
	}
	return writeRows(s.Stdout, c.OutputSettings, "groups", rows, func(b io.Writer) {
		fmt.Fprint(b, "LETTERS\tORDERS\tAGAIN\tFIRST\tLAST\tEXAMPLE\tCAUSE\n")
		for _, r := range rows {
			fmt.Fprintf(b, "%d\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Letters, r.Orders, r.Again, r.First, r.Last, r.Example, graphic(r.Cause, ""))
		}
	})
}

// quiet says that there is nothing to do, and when the last letter came.
func (d *desk) quiet() string {
	var last time.Time
	for i := range d.box.Letters {
		if at := d.box.Letters[i].At; at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return "no dead letters in " + d.topics.Dead
	}
	return fmt.Sprintf("no such dead letters; %s in %s, the last of %s", cli.Counted(len(d.box.Letters), "dead letter"), d.topics.Dead, cli.UTC(last))
}

// redriveListCommand shows dead letters one by one.
type redriveListCommand struct {
	redriveCommand
	LetterSelection
	LetterStates
	cli.ListLimit
}

// lettersShown is how many letters a person is shown.
const lettersShown = 100

// shownLetter is a dead letter as it is written for programs.
type shownLetter struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	At          string `json:"at"`
	OrderID     string `json:"order_id"`
	Type        string `json:"type,omitempty"`
	Cause       string `json:"cause"`
	Code        string `json:"code"`
	Reason      string `json:"reason"`
	Attempts    int    `json:"attempts"`
	FirstFailed string `json:"first_failed_at,omitempty"`
	LastFailed  string `json:"last_failed_at,omitempty"`
	Replays     int    `json:"replays"`
	Truncated   bool   `json:"truncated,omitempty"`
	Topic       string `json:"topic"` // where the letter stands
	Partition   int    `json:"partition"`
	Offset      int64  `json:"offset"`
	Origin      string `json:"origin"` // where its event was first read
	Note        string `json:"note,omitempty"`
	NotedBy     string `json:"noted_by,omitempty"`
	NotedAt     string `json:"noted_at,omitempty"`
}

func (d *desk) shown(l *redrive.Letter) shownLetter {
	row := shownLetter{
		ID: l.ID.String(), State: string(l.State), At: cli.UTC(l.At), OrderID: l.Order, Type: string(l.Type), Cause: l.Cause, Code: l.Code,
		Reason: l.Reason, Attempts: l.Attempts, Replays: l.Replays, Truncated: l.Truncated,
		Topic: d.topics.Dead, Partition: l.Partition, Offset: l.Offset,
		Origin: fmt.Sprintf("%s/%d@%d", l.Origin.Topic, l.Origin.Partition, l.Origin.Offset),
	}
	if !l.FirstFailed.IsZero() {
		row.FirstFailed = cli.UTC(l.FirstFailed)
	}
	if !l.LastFailed.IsZero() {
		row.LastFailed = cli.UTC(l.LastFailed)
	}
	if l.Mark != nil {
		row.Note, row.NotedBy, row.NotedAt = l.Mark.Note, l.Mark.Actor, cli.UTC(l.Mark.At)
	}
	return row
}

// Run implements a command.
func (c *redriveListCommand) Run(ctx context.Context, s *cli.Session) error {
	most, err := c.Most(c.OutputSettings, lettersShown)
	if err != nil {
		return err
	}
	filter, err := c.filter(c.states())
	if err != nil {
		return err
	}
	d, err := c.openDesk(ctx, s)
	if err != nil {
		return err
	}
	defer d.close()
	letters := d.box.Select(filter)
	if len(letters) == 0 {
		if c.all() {
			s.Say("%s", d.quiet())
		} else {
			return d.nobody(s, "no letter is like that")
		}
	}
	if most > 0 && len(letters) > most {
		s.Say("%d of %d shown: --limit 0 shows all", most, len(letters))
		letters = letters[:most]
	}
	rows := []shownLetter{}
	for _, l := range letters {
		rows = append(rows, d.shown(l))
	}
	return writeRows(s.Stdout, c.OutputSettings, "letters", rows, func(b io.Writer) {
		fmt.Fprint(b, "ID\tSTATE\tAT\tORDER\tTYPE\tTRIES\tREPLAYS\tREASON\n")
		for _, r := range rows {
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", r.ID, r.State, r.At, cli.OrDash(r.OrderID), cli.OrDash(r.Type), r.Attempts, r.Replays, graphic(shortReason(r), ""))
		}
	})
}

// shortReason fits a line.
func shortReason(r shownLetter) string {
	const most = 80
	text := r.Reason
	if !strings.HasPrefix(text, r.Code) {
		text = r.Code + ": " + text
	}
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-3]) + "..."
	}
	return text
}

// writeRows writes rows as a table, as one object a line, or as one object.
func writeRows[T any](to io.Writer, o cli.OutputSettings, name string, rows []T, table func(io.Writer)) error {
	switch o.Output {
	case "json":
		return o.Object(to, map[string][]T{name: rows})
	case "jsonl":
		for _, row := range rows {
			err := o.Object(to, row)
			if err != nil {
				return err
			}
		}
		return nil
	default:
		if len(rows) == 0 {
			return nil
		}
		b := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		table(b)
		return b.Flush()
	}
}

// readCounter tells a person how far a reading is. Many goroutines count.
type readCounter struct {
	session *cli.Session
	what    string
	total   int64
	n       atomic.Int64
	said    atomic.Int64 // when, in nanoseconds
}

func newReadCounter(s *cli.Session, what string, total int64) *readCounter {
	c := &readCounter{session: s, what: what, total: total}
	c.said.Store(time.Now().UnixNano())
	return c
}

// one counts one.
func (c *readCounter) one() {
	const often = 1000
	n := c.n.Add(1)
	if n%often != 0 {
		return
	}
	said, now := c.said.Load(), time.Now().UnixNano()
	if now-said >= int64(cli.LineEvery) && c.said.CompareAndSwap(said, now) {
		c.session.Say("%d of %d %s", n, c.total, c.what)
	}
}
