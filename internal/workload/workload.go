// Package workload makes up the orders of a shop: a seeded stream of order
// events with duplicates, cancellations and broken ones among them, and the
// truth about it, so that what a consumer did with it can be audited by
// somebody who has not seen the consumer.
//
// Every order is a pure function of the seed and its number. That is how a
// million orders need no memory, how a duplicate is made long after its
// original, and how the truth is told without reading the stream.
package workload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"orderconsumer/internal/order"
)

// Limits of a workload.
const (
	// MaxOrders is how many orders the digits of an order id can tell apart.
	MaxOrders = 100_000_000
	// MaxGoods keeps the table of goods under about 100 MiB.
	MaxGoods = 1_000_000

	orderDigits = 8
)

// What a Config that does not say otherwise stands for.
const (
	DefaultOrderPrefix = "order-"
	DefaultGoodsPrefix = "goods-"
	DefaultLinesMin    = 1
	DefaultLinesMax    = 3
	DefaultNumMax      = 3
)

// DefaultStart is when the first order of a Config without a Start is placed.
var DefaultStart = time.Date(2026, time.November, 23, 1, 2, 3, 0, time.UTC)

// orderEvery is the time between two orders, by the shop's clock. It is longer
// than the millisecond that event ids keep, so that ids sort as orders do.
const orderEvery = 2 * time.Millisecond

// Config describes a workload. Two equal configs give the same bytes.
type Config struct {
	// Orders is the number of distinct orders, 1..MaxOrders.
	Orders int
	// Goods is the number of distinct goods, 1..MaxGoods. The lower its number,
	// the more a goods is wanted.
	Goods int
	// Skew is the s of Zipf's law, by which goods are wanted: 0 wants all alike,
	// 1.1 is an ordinary shop, 3 is one hot goods and a few others.
	Skew float64
	// LinesMin and LinesMax bound how many goods an order has; each is another
	// goods. Zero stands for 1 and 3. An order never has more than all Goods.
	LinesMin, LinesMax int
	// NumMax bounds how many of a goods an order takes; it takes 1..NumMax. Zero
	// stands for 3.
	NumMax int
	// DuplicateShare is the share of the orders whose event is sent twice, byte
	// for byte, half of them at once and half of them later.
	DuplicateShare float64
	// CancelShare is the share of the orders that are cancelled, a tenth of them
	// before they are created.
	CancelShare float64
	// BrokenShare is how many broken events there are for each order.
	BrokenShare float64
	// Seed chooses the workload; every number is a good one.
	Seed uint64
	// OrderPrefix and GoodsPrefix begin the ids. Workloads that are to be worked
	// on by one consumer need different order prefixes: the same order id with
	// other goods is a conflict.
	OrderPrefix, GoodsPrefix string
	// Start is when the first order is placed, by the shop's clock.
	Start time.Time
}

// withDefaults fills in what is not said.
func (c Config) withDefaults() Config {
	if c.LinesMin == 0 {
		c.LinesMin = DefaultLinesMin
	}
	if c.LinesMax == 0 {
		c.LinesMax = max(DefaultLinesMax, c.LinesMin)
	}
	if c.NumMax == 0 {
		c.NumMax = DefaultNumMax
	}
	if c.OrderPrefix == "" {
		c.OrderPrefix = DefaultOrderPrefix
	}
	if c.GoodsPrefix == "" {
		c.GoodsPrefix = DefaultGoodsPrefix
	}
	if c.Start.IsZero() {
		c.Start = DefaultStart
	}
	c.Start = c.Start.UTC().Truncate(time.Millisecond)
	return c
}

// ErrConfig is wrapped by every error about a Config.
var ErrConfig = errors.New("impossible workload")

// check reports the first thing that cannot be.
func (c Config) check() error {
	bad := func(what string, got any, want string) error {
		return fmt.Errorf("%w: %s is %v, must be %s", ErrConfig, what, got, want)
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"duplicates", c.DuplicateShare}, {"cancellations", c.CancelShare}, {"broken", c.BrokenShare}} {
		if !(share.value >= 0 && share.value <= 1) { // NaN is neither
			return bad("share of "+share.name, share.value, "0..1")
		}
	}
	switch {
	case c.Orders < 1 || c.Orders > MaxOrders:
		return bad("number of orders", c.Orders, "1.."+strconv.Itoa(MaxOrders))
	case c.Goods < 1 || c.Goods > MaxGoods:
		return bad("number of goods", c.Goods, "1.."+strconv.Itoa(MaxGoods))
	case !(c.Skew >= 0 && c.Skew <= maxSkew):
		return bad("skew", c.Skew, "0.."+strconv.Itoa(maxSkew))
	case c.LinesMin < 1 || c.LinesMax < c.LinesMin || c.LinesMax > order.MaxItems:
		return bad("lines of an order", fmt.Sprintf("%d..%d", c.LinesMin, c.LinesMax),
			"a range in 1.."+strconv.Itoa(order.MaxItems))
	case c.NumMax < 1 || c.NumMax > order.MaxNum:
		return bad("num", c.NumMax, "1.."+strconv.Itoa(order.MaxNum))
	case !plainID(c.OrderPrefix, order.MaxIDBytes-len(brokenInfix)-orderDigits):
		return bad("order prefix", strconv.Quote(c.OrderPrefix), "short text without control characters")
	case !plainID(c.GoodsPrefix, order.MaxIDBytes-len(strconv.Itoa(MaxGoods))):
		return bad("goods prefix", strconv.Quote(c.GoodsPrefix), "short text without control characters")
	case c.Start.Year() < 2000 || c.Start.Year() > 2100:
		return bad("start", c.Start, "in this century")
	}
	return nil
}

// plainID is true for text that can begin an id of the contract.
func plainID(text string, limit int) bool {
	control := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
	return utf8.ValidString(text) && !control && len(text) <= limit
}

// Workload is a Config that makes sense, ready to be played. It does not
// change and is safe for use by many goroutines.
type Workload struct {
	cfg    Config
	goods  []string // ids, the most wanted first
	choice *zipf
}

// New prepares a workload. Its error wraps ErrConfig.
func New(cfg Config) (*Workload, error) {
	cfg = cfg.withDefaults()
	err := cfg.check()
	if err != nil {
		return nil, err
	}
	w := &Workload{cfg: cfg, goods: make([]string, cfg.Goods), choice: newZipf(cfg.Goods, cfg.Skew)}
	for i := range w.goods {
		w.goods[i] = cfg.GoodsPrefix + strconv.Itoa(i+1)
	}
	return w, nil
}

// Config is the workload's config with everything filled in.
func (w *Workload) Config() Config { return w.cfg }
