package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
)

// groupResetCommand makes the group read on from another place.
type groupResetCommand struct {
	groupCommand
	To         string   `required:"" help:"start, end, an offset, a time, or a file that group describe -o json or group reset -o json has written: that goes back to what was committed then. Times: RFC 3339, a date or a date and time of this machine's zone, or how long ago (15m, 2h, 3d)."`
	Topics     []string `placeholder:"TOPIC,..." help:"Topics to reset, or all for every topic the group reads. Default: the input topic; with a file, what is in it."`
	Partitions []int    `name:"only-partitions" placeholder:"N,..." help:"Partitions to reset. Default: all."`
	Execute    bool     `help:"Do it. Without this nothing is changed."`
}

// Run implements a command.
func (c *groupResetCommand) Run(ctx context.Context, s *cli.Session) error {
	target, err := c.target(time.Now())
	if err != nil {
		return err
	}
	client, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer client.Close()
	plan, err := c.plan(ctx, s, client, target)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	group, err := client.DescribeGroup(ctx, c.Group.Group)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	active := len(group.Members) > 0
	if active && c.Execute {
		return stopMembers(c.Group.Group, group.Members, c.again(s))
	}
	if c.Execute {
		err = plan.execute(ctx, client)
		if errors.Is(err, kafka.ErrGroupActive) {
			group, _ = client.DescribeGroup(ctx, c.Group.Group) // it was joined just now; without names, then
			return stopMembers(c.Group.Group, group.Members, c.again(s))
		}
		if err != nil {
			return kafkaFailure(ctx, client, err)
		}
	}
	err = c.tell(s, plan)
	if err != nil || c.Execute {
		return err
	}
	s.Say("nothing was changed: add --execute to do it; keep this answer (-o json) to be able to go back")
	if active {
		s.Say("it would be refused now: %v", stopMembers(c.Group.Group, group.Members, ""))
	}
	return nil
}

// again is the command line, as it is to be typed once more.
func (c *groupResetCommand) again(s *cli.Session) string {
	line := s.Name + " group reset --to " + cli.Word(c.To)
	if len(c.Topics) > 0 {
		line += " --topics " + cli.Word(strings.Join(c.Topics, ","))
	}
	if len(c.Partitions) > 0 {
		line += " --only-partitions " + strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Partitions), " ", ","), "[]")
	}
	return line + " --execute"
}

// resetPlan is what a reset would do or has done. A file with it is what a
// later reset can go back to: committed is what was committed before.
type resetPlan struct {
	Group      string     `json:"group"`
	To         string     `json:"to"`
	Executed   bool       `json:"executed"`
	Again      int64      `json:"again"`   // messages that were settled and are going to be read again
	Skipped    int64      `json:"skipped"` // messages that nobody has settled and nobody is going to read
	Partitions []resetRow `json:"partitions"`
}

// resetRow is what is done to one partition.
type resetRow struct {
	Topic     string `json:"topic"`
	Partition int    `json:"partition"`
	First     int64  `json:"first"`
	End       int64  `json:"end"`
	Committed *int64 `json:"committed"` // before; null: no commit yet
	To        *int64 `json:"to"`        // after; null: no commit
	Again     int64  `json:"again"`
	Skipped   int64  `json:"skipped"`
}

// newResetRow works out what becomes of the partition's messages.
func newResetRow(p kafka.Position, to int64) resetRow {
	row := resetRow{Topic: p.Topic, Partition: p.Partition, First: p.First, End: p.End}
	at := func(offset int64) int64 { // where a group with this commit reads on
		if offset == kafka.NoCommit || offset < p.First || offset > p.End {
			return p.First
		}
		return offset
	}
	if p.Committed != kafka.NoCommit {
		row.Committed = &p.Committed
	}
	if to != kafka.NoCommit {
		row.To = &to
	}
	row.Again = max(0, at(p.Committed)-at(to))
	row.Skipped = max(0, at(to)-at(p.Committed))
	return row
}

// execute commits, and looks whether that is what the brokers now say.
func (p *resetPlan) execute(ctx context.Context, client *kafka.Client) error {
	offsets := make(map[string]map[int]int64)
	var topics []string
	for _, row := range p.Partitions {
		if offsets[row.Topic] == nil {
			offsets[row.Topic] = make(map[int]int64)
			topics = append(topics, row.Topic)
		}
		offsets[row.Topic][row.Partition] = offsetOr(row.To)
	}
	err := client.SetOffsets(ctx, p.Group, offsets)
	if err != nil {
		return err
	}
	positions, err := client.Positions(ctx, p.Group, topics)
	if err != nil {
		return err
	}
	for _, now := range positions {
		want, asked := offsets[now.Topic][now.Partition]
		if asked && now.Committed != want {
			return &cli.Failure{
				Code: cli.ExitFailed,
				Err: fmt.Errorf("%s/%d was set to %d and is at %d: somebody else commits for group %s",
					now.Topic, now.Partition, want, now.Committed, p.Group),
				Try: "consumer group describe",
			}
		}
	}
	p.Executed = true
	return nil
}

func offsetOr(offset *int64) int64 {
	if offset == nil {
		return kafka.NoCommit
	}
	return *offset
}

func (c *groupResetCommand) tell(s *cli.Session, p *resetPlan) error {
	if p.Skipped > 0 {
		s.Say("warning: %s that nobody has settled %s skipped; %s audit --log names them",
			cli.Counted64(p.Skipped, "message"), would(p.Executed, "are", "would be"), s.Name)
	}
	switch c.Output {
	case "json":
		return c.Object(s.Stdout, p)
	case "jsonl":
		for _, row := range p.Partitions {
			err := c.Object(s.Stdout, row)
			if err != nil {
				return err
			}
		}
		return nil
	default:
		return p.write(s.Stdout)
	}
}

func would(done bool, yes, no string) string {
	if done {
		return yes
	}
	return no
}

// write is the plan for a person.
func (p *resetPlan) write(to io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "TOPIC\tPARTITION\tCOMMITTED\tTO\tEND\tEFFECT\n")
	for _, row := range p.Partitions {
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t%s\n", row.Topic, row.Partition,
			committedWord(row.Committed), committedWord(row.To), row.End, row.effect())
	}
	_ = table.Flush() // into memory
	fmt.Fprintf(&b, "\ngroup %s %s: %s again, %d skipped\n", p.Group,
		would(p.Executed, "was reset", "would be reset"), cli.Counted64(p.Again, "message"), p.Skipped)
	_, err := io.WriteString(to, b.String())
	return err
}

func committedWord(offset *int64) string {
	if offset == nil {
		return "no commit"
	}
	return fmt.Sprint(*offset)
}

func (r *resetRow) effect() string {
	switch {
	case r.Again > 0:
		return fmt.Sprintf("%d again", r.Again)
	case r.Skipped > 0:
		return fmt.Sprintf("%d skipped", r.Skipped)
	default:
		return "-"
	}
}
