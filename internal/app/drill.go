package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/drill"
	"orderconsumer/internal/settings"
	"orderconsumer/internal/stock"
)

// drillCommand lets consumers die in front of the user's eyes, on the user's
// servers, and shows what became of the orders.
type drillCommand struct {
	Kafka    settings.Kafka    `embed:""`
	Redis    settings.Redis    `embed:""`
	Database settings.Database `embed:""`
	cli.OutputSettings

	Orders    int           `default:"20000" help:"Orders that come in meanwhile."`
	Kills     int           `default:"4" help:"How often an instance is killed by SIGKILL. Each costs about the session timeout."`
	Instances int           `default:"2" help:"Consumers that share the work."`
	Seed      uint64        `help:"Seed of the orders and choices; 0 for another one each time."`
	Session   time.Duration `name:"session-timeout" default:"6s" help:"Session timeout of the consumers; brokers take none below 6s unless told otherwise."`

	Partitions  int  `default:"6" help:"Partitions of the drill's topics."`
	Replication int  `env:"TOPIC_REPLICATION" default:"1" help:"Replicas of them."`
	Empty       bool `name:"empty-database" help:"Use the database of the URL itself, which must hold no table, instead of making one beside it."`
	Keep        bool `help:"Leave topics, group and database, to look at them."`

	open OpenLedger
}

// Bounds of a drill.
const (
	drillOrders    = 1_000_000 // the audit keeps all of them in memory
	drillInstances = 16
	// drillStep is about what a kill, a stop or a new instance takes; orders come
	// in for as long as there are some.
	drillStep = 9 * time.Second
)

func (c *drillCommand) check() error {
	switch {
	case c.Orders < 100 || c.Orders > drillOrders:
		return cli.Usage("orders: want 100 to %d, got %d", drillOrders, c.Orders)
	case c.Kills < 0:
		return cli.Usage("kills: want 0 or more, got %d", c.Kills)
	case c.Instances < 1 || c.Instances > drillInstances:
		return cli.Usage("instances: want 1 to %d, got %d", drillInstances, c.Instances)
	case c.Session < settings.MinSession:
		return cli.Usage("session-timeout: want at least %s, got %s", settings.MinSession, c.Session)
	case c.Partitions < c.Instances+1 || c.Partitions > settings.MaxPartitions:
		return cli.Usage("partitions: want %d (one for each instance and one more) to %d, got %d", c.Instances+1, settings.MaxPartitions, c.Partitions)
	case c.Replication < 1:
		return cli.Usage("replication: want at least 1, got %d", c.Replication)
	}
	return nil
}

// Run implements a command.
func (c *drillCommand) Run(ctx context.Context, s *cli.Session) error {
	err := c.check()
	if err != nil {
		return err
	}
	if c.Seed == 0 {
		c.Seed = randomSeed()
	}
	client, err := c.Kafka.Client("order-drill")
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	defer client.Close()
	database, err := c.Database.Resolved()
	if err != nil {
		return &cli.Failure{Code: cli.ExitUsage, Err: err}
	}
	name := "drill-" + strings.ToLower(rand.Text()[:8])
	s.Say("drill %s: topics, group, database and lock keys of that name; nothing else is touched (seed %d)", name, c.Seed)
	done := s.Waiting("making the topics and the database")
	place, err := drill.Open(ctx, drill.PlaceConfig{
		Client: client, Open: drill.OpenLedger(c.open), DatabaseURL: database, Lent: c.Empty, Name: name,
		Partitions: c.Partitions, Replication: c.Replication,
		RetryAfter: []time.Duration{time.Second, 3 * time.Second, 8 * time.Second},
	})
	done()
	if err != nil {
		return c.unopened(ctx, s, err)
	}
	result, err := c.play(ctx, s, place)
	if c.Keep {
		s.Say("kept: topics %s.*, group %s, database %s", name, name, strings.ReplaceAll(name, "-", "_"))
	} else {
		done = s.Waiting("removing what the drill has made; brokers keep a group until they have given up its members that were killed")
		e := place.Remove(ctx)
		done()
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s is not wholly removed: %w", name, e))
		}
	}
	if err != nil {
		return err
	}
	return c.tell(s, result)
}

func randomSeed() uint64 {
	const digits = 1_000_000_000 // few enough to be typed again
	n, err := rand.Int(rand.Reader, big.NewInt(digits))
	if err != nil {
		return uint64(time.Now().UnixNano())
	}
	return n.Uint64() + 1
}

// play runs the script with consumers of this program.
func (c *drillCommand) play(ctx context.Context, s *cli.Session, place *drill.Place) (*drill.Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	// The password of the user's database stands in the URL of the drill's.
	environment, err := settings.EnvironmentOf(&struct {
		Kafka settings.Kafka `embed:""`
		Redis settings.Redis `embed:""`
	}{c.Kafka, c.Redis})
	if err != nil {
		return nil, err
	}
	steps := time.Duration(c.Kills+2) * drillStep
	script := drill.Script{
		Place:     place,
		Command:   drill.Command{Path: self, Args: []string{"run"}, Environment: append(environment, "DATABASE_PASSWORD_FILE", settings.DatabasePassword)},
		Orders:    c.Orders,
		PerSecond: float64(c.Orders) / steps.Seconds(),
		Instances: c.Instances, Kills: c.Kills, Seed: c.Seed, SessionTimeout: c.Session,
		Say: s.Say,
	}
	return script.Run(ctx)
}

// unopened gives the error of a place that could not be made the next command.
func (c *drillCommand) unopened(ctx context.Context, s *cli.Session, err error) error {
	user := "orders"
	if u, e := url.Parse(c.Database.URL); e == nil {
		user = u.User.Username()
	}
	switch {
	case errors.Is(err, drill.ErrMayNot):
		return &cli.Failure{Code: cli.ExitFailed, Err: err, Try: fmt.Sprintf(
			"as an administrator: GRANT ALL ON `drill\\_%%`.* TO '%s'@'%%'; or %s drill --empty-database --database-url with a database that is empty", user, s.Name)}
	case errors.Is(err, drill.ErrNotEmpty):
		return &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "name another database, or leave out --empty-database"}
	case errors.Is(err, stock.ErrUnavailable):
		return databaseFailure(ctx, err)
	default:
		return &cli.Failure{Code: cli.ExitUnreachable, Err: err, Try: s.Name + " doctor"}
	}
}

// shownDrill is the result as it is written for programs.
type shownDrill struct {
	Kept       bool             `json:"kept"`
	Seed       uint64           `json:"seed"`
	Kills      int              `json:"kills"`
	Events     int64            `json:"events"`
	Duplicates int64            `json:"duplicates"`
	Orders     map[string]int64 `json:"orders_by_state"`
	Dead       int64            `json:"dead_letters"`
	Replayed   int64            `json:"replayed"`
	Lost       int64            `json:"lost"`
	Oversold   int64            `json:"oversold"`
	Unsettled  int64            `json:"unsettled"`
	Wrong      int              `json:"wrong"` // findings in all, those about what was lost and oversold among them
	Findings   []string         `json:"findings"`
	Steps      []shownStep      `json:"steps"`
}

type shownStep struct {
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"`
}

// tell writes the table.
func (c *drillCommand) tell(s *cli.Session, r *drill.Result) error {
	shown := shownDrill{
		Kept: r.Kept(), Seed: c.Seed, Kills: r.Kills, Events: r.Report.Published, Duplicates: r.Report.Duplicates,
		Orders: make(map[string]int64), Dead: r.Report.Dead, Replayed: r.Replayed, Lost: r.Report.Lost,
		Oversold: r.Report.Oversold, Unsettled: r.Report.Unsettled, Wrong: r.Report.Wrong, Findings: r.Report.Findings,
	}
	for state, n := range r.Report.States {
		shown.Orders[string(state)] = n
	}
	for _, step := range r.Steps {
		shown.Steps = append(shown.Steps, shownStep{What: step.What, Seconds: step.Took.Seconds()})
	}
	var err error
	if c.Machine() {
		err = c.Object(s.Stdout, shown)
	} else {
		err = shown.table(s)
	}
	if err == nil && !shown.Kept {
		err = fmt.Errorf("the promise was not kept: %s; play it again with --seed %d --keep and look", cli.Counted(shown.Wrong, "finding"), c.Seed)
	}
	return err
}

// table writes the result for a person.
func (d *shownDrill) table(s *cli.Session) error {
	t := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT WAS DONE\tEVERY PARTITION WENT ON AFTER")
	for _, step := range d.Steps {
		fmt.Fprintf(t, "%s\t%.1f s\n", step.What, step.Seconds)
	}
	fmt.Fprintln(t, "\nWHAT BECAME OF THE ORDERS\t")
	fmt.Fprintf(t, "events published\t%d (%d of them came twice)\n", d.Events, d.Duplicates)
	for _, state := range []stock.State{stock.Deducted, stock.Rejected, stock.Released, stock.Voided} {
		fmt.Fprintf(t, "orders %s\t%d\n", state, d.Orders[string(state)])
	}
	fmt.Fprintf(t, "dead letters\t%d (broken on purpose)\n", d.Dead)
	fmt.Fprintf(t, "worked on twice\t%d\n", d.Replayed)
	fmt.Fprintf(t, "lost\t%d\noversold\t%d\nnot settled\t%d\nwrong in all\t%s\n", d.Lost, d.Oversold, d.Unsettled, cli.Counted(d.Wrong, "finding"))
	for _, finding := range d.Findings {
		fmt.Fprintf(t, "\t%s\n", finding)
	}
	verdict := "the promise was kept"
	if !d.Kept {
		verdict = "THE PROMISE WAS NOT KEPT"
	}
	fmt.Fprintf(t, "\n%s\t%d instances killed by SIGKILL\n", verdict, d.Kills)
	return t.Flush()
}
