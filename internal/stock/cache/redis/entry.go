package redis

import (
	"strconv"
	"strings"
	"time"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/cache"
)

// An entry is a text of six numbers,
//
//	version available updated_ms read_us life_ms cost_us
//
// of which the scripts write the fourth, by Redis' clock. A token is a ? and the
// rebuild's own. The version comes first and the cost last because the scripts
// look for them there.
const (
	fields    = 6
	tokenMark = '?'
)

// parse reads an entry. ok is false where none stands, and for what this program
// did not write, which could be anything: one value that is not an entry must not
// make the others useless, and a rebuild writes over it.
func parse(goods, text string, now int64) (e cache.Entry, ok bool) {
	if text == "" || text[0] == tokenMark {
		return e, false
	}
	var err error
	var n [fields]int64
	rest := text
	for i := range n {
		field, after, more := strings.Cut(rest, " ")
		n[i], err = strconv.ParseInt(field, 10, 64)
		if err != nil || more != (i < fields-1) {
			return e, false
		}
		rest = after
	}
	return cache.Entry{
		Level:  stock.Level{Goods: goods, Version: n[0], Available: n[1], UpdatedAt: time.UnixMilli(n[2]).UTC()},
		ReadAt: n[3],
		Age:    max(0, time.Duration(now-n[3])*time.Microsecond),
		Life:   time.Duration(n[4]) * time.Millisecond,
		Cost:   time.Duration(n[5]) * time.Microsecond,
	}, true
}

// unknown is the entry of goods that do not exist, for as long as left says.
func unknown(goods string, now int64, left time.Duration) cache.Entry {
	return cache.Entry{Level: stock.Level{Goods: goods}, Unknown: true, ReadAt: now, Life: left}
}

// values are the arguments of the scripts for one entry: its version, available
// and updated_ms, its age in microseconds, life_ms, cost_us, and for how many
// milliseconds it is kept.
func (s *Store) values(args []any, e *cache.Entry) []any {
	version := e.Level.Version
	if e.Unknown {
		version = 0
	}
	keep := e.Life + s.cfg.Stale - e.Age
	return append(args, version,
		strconv.FormatInt(e.Level.Available, 10)+" "+strconv.FormatInt(e.Level.UpdatedAt.UnixMilli(), 10),
		e.Age.Microseconds(), e.Life.Milliseconds(), e.Cost.Microseconds(), keep.Milliseconds())
}
