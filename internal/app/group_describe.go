package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/kafka"
	"orderconsumer/internal/order"
)

// groupDescribeCommand shows a group as it is now.
type groupDescribeCommand struct {
	groupCommand
}

// Run implements a command.
func (c *groupDescribeCommand) Run(ctx context.Context, s *cli.Session) error {
	client, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer client.Close()
	topics, missing, err := consumedTopics(ctx, client, c.Group)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	if len(topics) == 0 {
		return noTopic(client, c.Group.Topic, s.Name)
	}
	if len(missing) > 0 {
		s.Say("topics that are not there yet: %s (%s run creates them)", strings.Join(missing, ", "), s.Name)
	}
	standing, err := standingOf(ctx, client, c.Group.Group, topics)
	if err != nil {
		return kafkaFailure(ctx, client, err)
	}
	switch c.Output {
	case "json":
		return c.Object(s.Stdout, standing)
	case "jsonl":
		for _, p := range standing.Partitions {
			err = c.Object(s.Stdout, p)
			if err != nil {
				return err
			}
		}
		return nil
	default:
		return standing.write(s.Stdout)
	}
}

// shownGroup is a group as it is written for programs. A file with it is what
// group reset can go back to.
type shownGroup struct {
	Group      string           `json:"group"`
	State      string           `json:"state"`
	Members    []shownMember    `json:"members"`
	Lag        int64            `json:"lag"`
	Behind     float64          `json:"behind_seconds"`
	Partitions []shownPartition `json:"partitions"`
}

// shownMember is a member of the group.
type shownMember struct {
	ID         string           `json:"member_id"`
	ClientID   string           `json:"client_id"`
	Host       string           `json:"host"`
	Partitions map[string][]int `json:"partitions"`
}

// shownPartition is how far the group has come in one partition.
type shownPartition struct {
	Topic     string  `json:"topic"`
	Partition int     `json:"partition"`
	First     int64   `json:"first"`
	Committed *int64  `json:"committed"` // null: no commit yet
	End       int64   `json:"end"`
	Lag       int64   `json:"lag"`
	Behind    float64 `json:"behind_seconds"` // how long the next message has been due
	DueIn     float64 `json:"due_in_seconds"` // how long it is not due yet
	Member    string  `json:"member_id,omitempty"`
	Parted    string  `json:"parted,omitempty"` // why nobody reads on: the log is not the one that was read
}

// standingOf asks for everything about a group.
func standingOf(ctx context.Context, client *kafka.Client, name string, topics []string) (*shownGroup, error) {
	group, err := client.DescribeGroup(ctx, name)
	if err != nil {
		return nil, err
	}
	positions, err := client.Positions(ctx, name, topics)
	if err != nil {
		return nil, err
	}
	next, err := client.Next(ctx, positions)
	if err != nil {
		return nil, err
	}
	standing := &shownGroup{Group: name, State: strings.ToLower(group.State), Members: []shownMember{}}
	owners := make(map[place]string)
	for _, m := range group.Members {
		standing.Members = append(standing.Members, shownMember{ID: m.ID, ClientID: m.ClientID, Host: m.Host, Partitions: m.Assigned})
		for topic, ids := range m.Assigned {
			for _, id := range ids {
				owners[place{topic, id}] = m.ID
			}
		}
	}
	now := time.Now()
	due := make(map[place]time.Duration) // for how long the next message has been
	for i := range next {
		due[place{next[i].Topic, next[i].Partition}] = now.Sub(dueSince(&next[i]))
	}
	for _, p := range positions {
		row := shownPartition{Topic: p.Topic, Partition: p.Partition, First: p.First, End: p.End, Lag: p.Lag()}
		if p.Committed != kafka.NoCommit {
			row.Committed = &p.Committed
		}
		here := place{p.Topic, p.Partition}
		row.Behind, row.DueIn = max(0, due[here].Seconds()), max(0, -due[here].Seconds())
		row.Member, row.Parted = owners[here], p.Parted
		standing.Lag += row.Lag
		standing.Behind = max(standing.Behind, row.Behind)
		standing.Partitions = append(standing.Partitions, row)
	}
	return standing, nil
}

// place is one partition.
type place struct {
	topic     string
	partition int
}

// dueSince is since when a message could have been worked on: in a retry tier
// that is later than when it was appended.
func dueSince(m *order.Message) time.Time {
	if due := order.ParseDelivery(m).NotBefore; due.After(m.Time) {
		return due
	}
	return m.Time
}

// write is the group for a person.
func (g *shownGroup) write(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "group %s: %s, %s, %s", g.Group, g.state(), cli.Counted(len(g.Members), "member"), cli.Counted64(g.Lag, "message")+" behind")
	if g.Behind > 0 {
		fmt.Fprintf(&b, ", the oldest has been due for %s", seconds(g.Behind))
	}
	b.WriteString("\n")
	names := make(map[string]string)
	if len(g.Members) > 0 {
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprint(table, "\nMEMBER\tHOST\tREADS\n")
		for _, m := range g.Members {
			names[m.ID] = m.ClientID
			fmt.Fprintf(table, "%s\t%s\t%s\n", cli.Shown(m.ClientID), m.Host, m.reads())
		}
		_ = table.Flush() // into memory
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\nTOPIC\tPARTITION\tCOMMITTED\tEND\tLAG\tBEHIND\tMEMBER\n")
	for _, p := range g.Partitions {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%s\t%s\n", p.Topic, p.Partition, p.committed(), p.End, p.Lag, p.behind(), cli.OrDash(names[p.Member]))
	}
	_ = table.Flush() // into memory
	for _, p := range g.Partitions {
		if p.Parted != "" {
			fmt.Fprintf(&b, "\n%s/%d is not read on: %s. See what is missing, then: consumer run --accept-data-loss, or consumer group reset\n", p.Topic, p.Partition, p.Parted)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// state is the coordinator's word in everyday ones.
func (g *shownGroup) state() string {
	switch g.State {
	case "dead":
		return "not used yet"
	case "preparingrebalance", "completingrebalance":
		return "sharing the partitions out anew"
	default:
		return g.State
	}
}

func (m *shownMember) reads() string {
	var parts []string
	for _, topic := range slices.Sorted(maps.Keys(m.Partitions)) {
		parts = append(parts, topic+" "+spans(m.Partitions[topic]))
	}
	if len(parts) == 0 {
		return "nothing: there are more members than partitions"
	}
	return strings.Join(parts, ", ")
}

// spans writes 0-3,7 for 0 1 2 3 7.
func spans(ids []int) string {
	ids = slices.Sorted(slices.Values(ids))
	var b strings.Builder
	for i := 0; i < len(ids); {
		last := i
		for last+1 < len(ids) && ids[last+1] == ids[last]+1 {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(ids[i]))
		if last > i {
			fmt.Fprintf(&b, "-%d", ids[last])
		}
		i = last + 1
	}
	return b.String()
}

func (p *shownPartition) committed() string {
	switch {
	case p.Committed == nil && p.End == p.First:
		return "no commit yet, nothing to read"
	case p.Committed == nil:
		return fmt.Sprintf("no commit yet, begins at %d", p.First)
	case *p.Committed > p.End:
		return fmt.Sprintf("%d (beyond the end)", *p.Committed)
	case *p.Committed < p.First:
		return fmt.Sprintf("%d (the log begins at %d)", *p.Committed, p.First)
	default:
		return strconv.FormatInt(*p.Committed, 10)
	}
}

func (p *shownPartition) behind() string {
	switch {
	case p.Lag == 0:
		return "-"
	case p.DueIn > 0:
		return "due in " + seconds(p.DueIn)
	default:
		return seconds(p.Behind)
	}
}

// seconds is a length of time as a person reads it: no more than a second's
// precision beyond a minute.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
