// Package faultsuite breaks things on real servers while consumers work, one
// row of a matrix of faults after the other, and holds what is in the log and
// in the database against what was published after each.
package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Row is one fault and what has to be true in spite of it. That no order is
// lost, doubled or oversold is expected of every row.
type Row struct {
	// Number is the row's in the matrix; several rows may have one.
	Number int
	// Name is what the row is called on the command line.
	Name string
	// Fault says what is done, Expect what has to be seen besides.
	Fault, Expect string
	// Brokers is how many there have to be; zero stands for any number.
	Brokers int
	// Short rows are played before every change lands.
	Short bool
	// Long rows are played only when they are named.
	Long bool
	// Disk names the server that the row has for a database, beside the one that
	// others have: with a file system of its own, made anew before, of which nothing
	// is left afterwards. Empty: the one that there is.
	Disk string
	// Elsewhere says where the row is covered when it cannot be played here.
	Elsewhere string

	play func(ctx context.Context, a *act) error
	// Most rows can do with what these stand for when they are zero.
	setting setting
}

// setting is what a row's place looks like.
type setting struct {
	partitions int
	orders     int     // made up, not published
	share      float64 // of what they ask for that is delivered
	duplicates float64
	broken     float64
	cancelled  float64
	goods      int
	oneLine    bool // one of one goods an order
	lossy      bool // the log has lost events on purpose: the ledger is audited alone
}

func (s setting) withDefaults() setting {
	or := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	share := func(x *float64, value float64) {
		if *x == 0 {
			*x = value
		}
	}
	or(&s.partitions, 6)
	or(&s.orders, 200_000)
	or(&s.goods, 1000)
	share(&s.share, 0.04)
	share(&s.duplicates, 0.02)
	share(&s.broken, 0.005)
	share(&s.cancelled, 0.03)
	return s
}

// ErrNoSuchRow is wrapped by the error of Choose.
var ErrNoSuchRow = errors.New("there is no such row")

// Rows are all rows, in the order of the matrix.
func Rows() []Row {
	rows := slices.Concat(consumerRows(), kafkaRows(), redisRows(), databaseRows(), diskRows(), inputRows(), loadRows(), longRows())
	slices.SortStableFunc(rows, func(a, b Row) int { return a.Number - b.Number })
	return rows
}

// Choose returns the rows of that number or name.
func Choose(names []string) ([]Row, error) {
	var chosen []Row
	for _, name := range names {
		found := false
		for _, row := range Rows() {
			if row.Name == name || strconv.Itoa(row.Number) == name {
				chosen, found = append(chosen, row), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: %s", ErrNoSuchRow, name)
		}
	}
	return chosen, nil
}

// Short are the rows to play before a change lands.
func Short() []Row {
	return slices.DeleteFunc(Rows(), func(r Row) bool { return !r.Short })
}
