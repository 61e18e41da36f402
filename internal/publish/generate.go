package publish

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/workload"
)

// GenerateCommand makes up orders and publishes them.
type GenerateCommand struct {
	Orders        int     `env:"GENERATE_ORDERS" default:"10000" help:"Distinct orders."`
	Goods         int     `env:"GENERATE_GOODS" default:"1000" help:"Distinct goods."`
	Skew          float64 `env:"GENERATE_SKEW" default:"1.1" help:"How unevenly goods are wanted: the s of Zipf's law, 0 for all alike."`
	LinesMin      int     `env:"GENERATE_LINES_MIN" default:"1" help:"Fewest goods in an order."`
	LinesMax      int     `env:"GENERATE_LINES_MAX" default:"3" help:"Most goods in an order."`
	NumMax        int     `env:"GENERATE_NUM_MAX" default:"3" help:"Most that an order takes of the same goods."`
	Duplicates    float64 `env:"GENERATE_DUPLICATES" default:"0.02" help:"Share of the orders that are sent twice."`
	Cancellations float64 `env:"GENERATE_CANCELLATIONS" default:"0.05" help:"Share of the orders that are cancelled."`
	Broken        float64 `env:"GENERATE_BROKEN" default:"0.01" help:"Events that break the contract, for each order."`
	Seed          uint64  `env:"GENERATE_SEED" default:"0" help:"The same seed makes the same orders, under the same ids; 0 takes another one each time and says which."`
	Start         string  `env:"GENERATE_START" placeholder:"TIME" help:"When the first order is placed, as 2026-11-23T01:02:03Z; now if it is left out. With a seed, it makes events the same byte for byte."`
	OrderPrefix   string  `env:"GENERATE_ORDER_PREFIX" placeholder:"TEXT" help:"What order ids begin with; order-<seed>- if it is left out."`
	GoodsPrefix   string  `env:"GENERATE_GOODS_PREFIX" default:"goods-" help:"What goods ids begin with."`
	StockFile     string  `type:"path" env:"GENERATE_STOCK_FILE" help:"File that takes a first stock as CSV goods_id,num, for: consumer stock import."`
	StockShare    float64 `env:"GENERATE_STOCK_SHARE" default:"0.6" help:"How much of the demand the stock covers."`
	StockOnly     bool    `help:"Write the stock file and publish nothing."`
	Print         bool    `help:"Write the events to standard output, one a line, instead of publishing them."`

	Target TargetSettings `embed:""`
	cli.OutputSettings
}

// seedsChosen bounds the seeds that are chosen for the user: short enough to be
// typed again.
const seedsChosen = 1_000_000

// Run implements a command.
func (c *GenerateCommand) Run(ctx context.Context, s *cli.Session) error {
	err := c.Target.check()
	if err != nil {
		return err
	}
	shop, err := c.shop()
	if err != nil {
		return err
	}
	if !c.StockOnly && !c.Print {
		// Only a file that is asked for: what has no place to be kept can be made
		// again from the seed.
		err = c.Target.checkFailedFile()
		if err != nil {
			return err
		}
	}
	if c.StockFile != "" {
		err = c.writeStock(s, shop.Expect())
		if err != nil || c.StockOnly {
			return err
		}
	}
	if c.Print {
		return c.print(ctx, s, shop)
	}
	return c.publish(ctx, s, shop)
}

// shop is the workload that the flags describe.
func (c *GenerateCommand) shop() (*workload.Workload, error) {
	switch {
	case c.Print && c.Machine():
		return nil, cli.Usage("--print and --output %s both want standard output", c.Output)
	case c.StockOnly && c.StockFile == "":
		return nil, cli.Usage("--stock-only needs --stock-file")
	case !(c.StockShare >= 0 && c.StockShare <= maxStockShare):
		return nil, cli.Usage("--stock-share is %v, must be 0..%d", c.StockShare, maxStockShare)
	}
	start := time.Now()
	if c.Start != "" {
		var err error
		start, err = time.Parse(time.RFC3339, c.Start)
		if err != nil {
			return nil, cli.Usage("--start is %q, must be a time as 2026-11-23T01:02:03Z", c.Start)
		}
	}
	if c.Seed == 0 {
		c.Seed = 1 + rand.Uint64N(seedsChosen)
	}
	if c.OrderPrefix == "" {
		c.OrderPrefix = fmt.Sprintf("order-%d-", c.Seed)
	}
	shop, err := workload.New(workload.Config{
		Orders: c.Orders, Goods: c.Goods, Skew: c.Skew,
		LinesMin: c.LinesMin, LinesMax: c.LinesMax, NumMax: c.NumMax,
		DuplicateShare: c.Duplicates, CancelShare: c.Cancellations, BrokenShare: c.Broken,
		Seed: c.Seed, OrderPrefix: c.OrderPrefix, GoodsPrefix: c.GoodsPrefix, Start: start,
	})
	if err != nil {
		return nil, cli.Usage("%w", err)
	}
	return shop, nil
}

// generateSummary is the answer of the command.
type generateSummary struct {
	publishSummary
	Seed       uint64 `json:"seed"`
	Orders     int    `json:"orders"` // what there was to publish, of each kind
	Duplicates int    `json:"duplicates"`
	Cancelled  int    `json:"cancelled"`
	Broken     int    `json:"broken"`
}

// publish publishes the whole workload.
func (c *GenerateCommand) publish(ctx context.Context, s *cli.Session, shop *workload.Workload) error {
	target, err := c.Target.open(ctx, s)
	if err != nil {
		return err
	}
	defer target.close(s.Abort)
	expect := shop.Expect()
	s.Say("%s: seed %d: %d orders, %d duplicates, %d cancellations, %d broken events",
		s.Name, c.Seed, expect.Orders, expect.Duplicates, expect.Cancelled, expect.Broken)
	t := newTally(s)
	failed := &failedFile{path: c.Target.FailedFile}
	if failed.path == "" {
		failed.path = "generate.failed.jsonl"
	}
	making, giveUp := context.WithCancel(ctx)
	defer giveUp()
	d := c.Target.deliverer(target, s, t, failed)
	// What has not been made can be made again, from the seed.
	d.onGivingUp = giveUp
	done := t.showProgress(progressTotal{events: int64(expect.Events())})
	d.run(limited(making, c.parcels(making, shop), c.Target.Rate))
	done()
	failed.close()
	t.complaints.end()
	sum := generateSummary{
		publishSummary: t.summary(c.Target.Topic, failed),
		Seed:           c.Seed,
		Orders:         expect.Orders, Duplicates: expect.Duplicates, Cancelled: expect.Cancelled, Broken: expect.Broken,
	}
	sum.Stopped = ctx.Err() != nil
	s.Say("%s, seed %d", sum.text(), c.Seed)
	if c.Machine() {
		err = c.Object(s.Stdout, sum)
		if err != nil {
			return err
		}
	}
	return c.shortfall(ctx, sum, d)
}

// shortfall is the error when not everything was published.
func (c *GenerateCommand) shortfall(ctx context.Context, sum generateSummary, d *deliverer) error {
	why := d.hopeless
	if why == nil && ctx.Err() != nil {
		why = context.Cause(ctx)
	}
	switch {
	case d.failed.err != nil:
		return d.failed.err
	case why == nil:
		return sum.shortfall()
	}
	all := int64(sum.Orders + sum.Duplicates + sum.Cancelled + sum.Broken)
	return &cli.Failure{
		Code: cli.ExitFailed,
		Err:  fmt.Errorf("%w: %d of %d events were not delivered, %d were not made", why, sum.Failed, all, all-sum.Failed-sum.Published),
		Try:  fmt.Sprintf("the same command with --seed %d: what is published twice is deducted once", c.Seed),
	}
}

// parcels are the events on their way, until ctx ends.
func (c *GenerateCommand) parcels(ctx context.Context, shop *workload.Workload) iter.Seq[parcel] {
	return func(yield func(parcel) bool) {
		for item := range shop.Events() {
			message := c.Target.message(item.Event, item.Value)
			if ctx.Err() != nil || !yield(parcel{message: message, raw: item.Value}) {
				return
			}
		}
	}
}

// print writes the events for a file or for another program.
func (c *GenerateCommand) print(ctx context.Context, s *cli.Session, shop *workload.Workload) error {
	out := bufio.NewWriter(s.Stdout)
	count := 0
	for p := range limited(ctx, c.parcels(ctx, shop), c.Target.Rate) {
		_, err := out.Write(append(p.raw, '\n'))
		if err == nil && c.Target.Rate > 0 {
			err = out.Flush() // whoever asks for a rate wants to see it
		}
		if err != nil {
			return fmt.Errorf("print event %d: %w", count+1, err)
		}
		count++
	}
	err := out.Flush()
	if err != nil {
		return fmt.Errorf("print %d events: %w", count, err)
	}
	s.Say("printed %d events, seed %d", count, c.Seed)
	return ctx.Err()
}
