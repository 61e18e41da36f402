package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// counted is a ledger that counts its readings.
type counted struct {
	ledger   *ledger.Ledger
	readings *atomic.Int64
}

func newCounted(l *ledger.Ledger) counted { return counted{ledger: l, readings: new(atomic.Int64)} }

// Levels implements cache.Source.
func (c counted) Levels(ctx context.Context, goods []string) (map[string]stock.Level, error) {
	c.readings.Add(1)
	return c.ledger.Levels(ctx, goods)
}

// asker is one connection. It speaks just enough HTTP to load a server without
// loading the machine more than the server does.
type asker struct {
	conn    net.Conn
	in      *bufio.Reader
	times   *hdrhistogram.Histogram
	refused int64
}

// ask puts the load on the server at addr.
func (q Queries) ask(ctx context.Context, addr string, source counted) (QueryRow, error) {
	load, err := workload.New(workload.Config{Goods: q.Goods, Orders: 1})
	if err != nil {
		return QueryRow{}, err
	}
	var questions [][]byte
	for _, line := range load.Expect().Stock(1) {
		questions = append(questions, fmt.Appendf(nil, "GET /v1/stock/%s HTTP/1.1\r\nHost: bench\r\n\r\n", line.Goods))
	}
	began := time.Now()
	measured, end := began.Add(q.Warm), began.Add(q.Warm+q.For)
	var before atomic.Int64
	cpu := &meter{processes: q.processes}
	defer time.AfterFunc(q.Warm, func() { before.Store(source.readings.Load()); cpu.begin() }).Stop()
	group, ctx := errgroup.WithContext(ctx)
	askers := make([]*asker, q.Connections)
	for i := range askers {
		a := &asker{times: hdrhistogram.New(1, longest.Microseconds(), digits)}
		askers[i] = a
		group.Go(func() error {
			pprof.SetGoroutineLabels(pprof.WithLabels(ctx, pprof.Labels("side", "asking"))) // go tool pprof -tagignore
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer conn.Close() //nolint:errcheck // everything was read
			a.conn, a.in = conn, bufio.NewReader(conn)
			pace := pace{start: began, first: i, of: q.Connections, rate: q.Rate}
			return a.run(ctx, questions, &pace, measured, end)
		})
	}
	err = group.Wait()
	cpu.begin() // with what was too short to begin
	used := cpu.end(0).CPU
	all := hdrhistogram.New(1, longest.Microseconds(), digits)
	row := QueryRow{Offered: q.Rate, Readings: source.readings.Load() - before.Load()}
	for _, a := range askers {
		all.Merge(a.times)
		row.Refused += a.refused
	}
	ms := func(us int64) float64 { return float64(us) / 1e3 }
	row.Answers, row.Achieved = all.TotalCount(), float64(all.TotalCount())/q.For.Seconds()
	row.P50, row.P99 = ms(all.ValueAtQuantile(50)), ms(all.ValueAtQuantile(99))
	if row.Answers > 0 {
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(row.Answers) }
		row.CPU, row.RedisCPU, row.DatabaseCPU = each(used.Consumer), each(used.Redis), each(used.Database)
	}
	row.P999, row.Max = ms(all.ValueAtQuantile(99.9)), ms(all.Max())
	return row, err
}

// pace says when the questions of one connection are due.
type pace struct {
	start     time.Time
	first, of int
	rate      float64
	asked     int
}

// next waits until the next question is due, and returns since when it is.
func (p *pace) next() time.Time {
	if p.rate == 0 {
		return time.Now()
	}
	due := p.start.Add(time.Duration(float64(p.first+p.asked*p.of) / p.rate * float64(time.Second)))
	p.asked++
	time.Sleep(time.Until(due))
	return due
}

// run asks until end, and keeps the times of what was due from measured on.
func (a *asker) run(ctx context.Context, questions [][]byte, p *pace, measured, end time.Time) error {
	for ctx.Err() == nil {
		due := p.next()
		if due.After(end) || time.Now().After(end) {
			return nil
		}
		_, err := a.conn.Write(questions[rand.IntN(len(questions))])
		if err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		answered, err := a.answer()
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if due.Before(measured) {
			continue
		}
		if !answered {
			a.refused++
			continue
		}
		err = a.times.RecordValue(max(1, time.Since(due).Microseconds()))
		if err != nil {
			return fmt.Errorf("keep a time: %w", err)
		}
	}
	return context.Cause(ctx)
}

// answer reads one answer and reports whether it is one, and no refusal.
func (a *asker) answer() (bool, error) {
	line, err := a.line()
	if err != nil {
		return false, err
	}
	code, is := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !is {
		return false, fmt.Errorf("status line %q", line)
	}
	answered, length := bytes.HasPrefix(code, []byte("200 ")), -1
	for {
		line, err := a.line()
		if err != nil {
			return false, err
		}
		if len(line) == 0 {
			break
		}
		if value, is := bytes.CutPrefix(line, []byte("Content-Length: ")); is {
			length, err = strconv.Atoi(string(value))
			if err != nil {
				return false, fmt.Errorf("content length: %w", err)
			}
		}
	}
	if length < 0 {
		return false, errors.New("an answer without a length")
	}
	_, err = a.in.Discard(length)
	return answered, err
}

// line reads one line, which is good until the next.
func (a *asker) line() ([]byte, error) {
	line, err := a.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}
