package app

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/stock"
)

// maxRecordBytes is the longest line that is taken for a row.
const maxRecordBytes = 64 << 10

const (
	// levelColumns: goods_id and num.
	levelColumns = 2
	// mistakesMost is how many mistakes are told at once: as many as one wants to
	// read before mending the file.
	mistakesMost = 20
)

// readLevels reads lines of goods_id,num. All mistakes are told, each with its
// line.
func readLevels(in io.Reader, mode stock.Mode) ([]stock.Line, error) {
	r := levelReader{mode: mode, seen: make(map[string]int)}
	buffered := bufio.NewReader(in)
	begin, _ := buffered.Peek(len(cli.ByteOrderMark))
	if string(begin) == cli.ByteOrderMark {
		_, _ = buffered.Discard(len(cli.ByteOrderMark)) // it was peeked at
	}
	r.input = &boundedRecords{from: buffered}
	r.csv = csv.NewReader(r.input)
	r.csv.FieldsPerRecord = levelColumns
	r.csv.ReuseRecord = true
	for {
		err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return r.lines, r.mistakes()
}

// levelReader is a file being read.
type levelReader struct {
	input   *boundedRecords
	csv     *csv.Reader
	mode    stock.Mode
	records int
	last    int // the line of the newest record
	lines   []stock.Line
	seen    map[string]int // the line each goods stands on
	wrong   []error
	more    int // mistakes that are not in wrong
}

// next reads one record. Its error is the end of the file or of the reading.
func (r *levelReader) next() error {
	r.input.taken = 0
	record, err := r.csv.Read()
	r.records++
	if errors.Is(err, errLongRecord) {
		return fmt.Errorf("after line %d: %w", r.last, err)
	}
	r.last = r.lineOf(err)
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		if errors.Is(parse.Err, csv.ErrFieldCount) {
			parse.Err = fmt.Errorf("%s, want goods_id,num", cli.Counted(len(record), "column"))
		}
		r.mistake(parse.Line, parse.Err)
		return nil
	}
	if err != nil {
		return err
	}
	line, _ := r.csv.FieldPos(0)
	if r.records == 1 && strings.EqualFold(record[0], "goods_id") && strings.EqualFold(strings.TrimSpace(record[1]), "num") {
		return nil
	}
	level, err := r.parse(record)
	if err != nil {
		r.mistake(line, err)
		return nil
	}
	if before, twice := r.seen[level.Goods]; twice {
		r.mistake(line, fmt.Errorf("goods %q stands on line %d already", level.Goods, before))
		return nil
	}
	r.seen[level.Goods] = line
	r.lines = append(r.lines, level)
	return nil
}

// lineOf is the line of the record that was read, or could not be.
func (r *levelReader) lineOf(err error) int {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return parse.Line
	}
	if err != nil {
		return r.last
	}
	line, _ := r.csv.FieldPos(0)
	return line
}

// errLongRecord: a line that does not end, or a quote that is not closed.
var errLongRecord = fmt.Errorf("more than %d bytes in one line, or a quote that is not closed", maxRecordBytes)

// boundedRecords gives up a record that is longer than any can be: the reader
// of CSV would hold all of it.
type boundedRecords struct {
	from  io.Reader
	taken int // since the record began
}

// Read implements io.Reader. What is read ahead of the record counts, too, so a
// record of exactly the limit may be refused; none that makes sense comes near.
func (b *boundedRecords) Read(p []byte) (int, error) {
	if b.taken >= maxRecordBytes {
		return 0, errLongRecord
	}
	n, err := b.from.Read(p)
	b.taken += n
	return n, err
}

// parse reads one line.
func (r *levelReader) parse(record []string) (stock.Line, error) {
	goods, text := strings.Clone(record[0]), strings.TrimSpace(record[1])
	err := checkGoods(goods)
	if err != nil {
		return stock.Line{}, err
	}
	if strings.TrimSpace(goods) != goods {
		return stock.Line{}, fmt.Errorf("goods id %q has white space around it", goods)
	}
	num, err := strconv.ParseInt(text, 10, 64)
	least := int64(0)
	if r.mode == stock.Add {
		least = 1
	}
	if err != nil || num < least || num > stock.MaxAvailable {
		return stock.Line{}, fmt.Errorf("num %q: want a whole number from %d to %d", text, least, int64(stock.MaxAvailable))
	}
	return stock.Line{Goods: goods, Num: num}, nil
}

func (r *levelReader) mistake(line int, err error) {
	if len(r.wrong) == mistakesMost {
		r.more++
		return
	}
	r.wrong = append(r.wrong, fmt.Errorf("line %d: %w", line, err))
}

// mistakes are all that were found, as one error; nil if there was none.
func (r *levelReader) mistakes() error {
	switch {
	case len(r.wrong) == 0:
		return nil
	case len(r.wrong) == 1:
		return r.wrong[0]
	case r.more > 0:
		r.wrong = append(r.wrong, fmt.Errorf("and %d more", r.more))
	}
	return fmt.Errorf("%d mistakes\n%w", len(r.wrong)-min(r.more, 1)+r.more, errors.Join(r.wrong...))
}
