package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/bits"
	"os"

	"orderconsumer/internal/stock"
)

// shelf is a map from orders to what is remembered about them, in two files: the
// entries one after the other, and a table of fixed size that says where each
// begins. A map in memory, or a file mapped into it, would grow with the number
// of orders; half a million of them are 30 MB on a shelf, and the process does
// not notice. There is no need for anything a database does: it is written by one
// goroutine, never shrinks, and is gone with the process.
type shelf struct {
	table, entries *os.File
	mask           uint64 // number of slots - 1
	seed           maphash.Seed
	end            int64 // of the entries
	used           int64 // slots
	buffer         []byte
}

const (
	// slotBytes: the hash, and one more than where the entry begins.
	slotBytes = 16
	// slotsRead is how many slots are read at once: enough that a second read is
	// rare in a table that is half full.
	slotsRead = 8
	// leastSlots is the smallest table.
	leastSlots = 1024
	// entryRead is how much of an entry is read at first.
	entryRead = 512
)

// errShelfFull: more orders than the shelf was made for.
var errShelfFull = errors.New("more orders than were counted")

// newShelf makes a shelf for up to so many orders, in a folder that has room for
// about 60 bytes and the lines of each. It is empty and costs nothing until the
// first is put.
func newShelf(folder string, orders int64) (*shelf, error) {
	slots := uint64(max(2*orders, leastSlots))
	s := &shelf{mask: 1<<bits.Len64(slots-1) - 1, seed: maphash.MakeSeed()}
	for _, file := range []**os.File{&s.table, &s.entries} {
		f, err := os.CreateTemp(folder, "replay-*")
		if err != nil {
			s.close()
			return nil, fmt.Errorf("make room for the orders of a replay: %w", err)
		}
		*file = f
		// Nobody needs the name; without one the file cannot be left behind.
		_ = os.Remove(f.Name())
	}
	return s, nil
}

func (s *shelf) close() {
	for _, f := range []*os.File{s.table, s.entries} {
		if f != nil {
			_ = f.Close() // its content is of no use any more
		}
	}
}

// memory is what the simulation remembers about an order.
type memory struct {
	record stock.Record // Order, State and Lines
	// waits: the order's create is not applied and waits somewhere, named by where.
	waits string
}

// get returns what was put last.
func (s *shelf) get(order string) (memory, bool, error) {
	if s.used == 0 {
		return memory{}, false, nil
	}
	_, at, err := s.find(order)
	if err != nil || at < 0 {
		return memory{}, false, err
	}
	entry, err := s.read(at)
	if err != nil {
		return memory{}, false, err
	}
	m, err := decodeMemory(entry)
	return m, err == nil, err
}

// put remembers an order, instead of what was remembered about it.
func (s *shelf) put(m memory) error {
	slot, at, err := s.find(m.record.Order)
	if err != nil {
		return err
	}
	if at < 0 {
		if s.used > int64(s.mask/2) {
			return errShelfFull
		}
		s.used++
	}
	entry := appendMemory(append(s.buffer[:0], 0, 0, 0, 0), m)
	s.buffer = entry
	binary.LittleEndian.PutUint32(entry, uint32(len(entry)-4))
	if _, err := s.entries.WriteAt(entry, s.end); err != nil {
		return fmt.Errorf("remember order %q: %w", m.record.Order, err)
	}
	var b [slotBytes]byte
	binary.LittleEndian.PutUint64(b[:8], s.hash(m.record.Order))
	binary.LittleEndian.PutUint64(b[8:], uint64(s.end)+1)
	s.end += int64(len(entry))
	if _, err := s.table.WriteAt(b[:], int64(slot)*slotBytes); err != nil {
		return fmt.Errorf("remember order %q: %w", m.record.Order, err)
	}
	return nil
}

func (s *shelf) hash(order string) uint64 { return maphash.String(s.seed, order) }

// find returns the slot of an order and where its entry begins, or the slot it
// would get and -1.
func (s *shelf) find(order string) (slot uint64, at int64, err error) {
	hash := s.hash(order)
	var window [slotsRead * slotBytes]byte
	for first := hash & s.mask; ; first = (first + slotsRead) & s.mask {
		n, err := s.table.ReadAt(window[:], int64(first)*slotBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, fmt.Errorf("look for order %q: %w", order, err)
		}
		clear(window[n:]) // what was never written is empty
		for i := range uint64(slotsRead) {
			if first+i > s.mask { // the table's end; the next window is its beginning
				first = s.mask + 1 - slotsRead
				break
			}
			b := window[i*slotBytes:]
			place := binary.LittleEndian.Uint64(b[8:])
			if place == 0 {
				return first + i, -1, nil
			}
			if binary.LittleEndian.Uint64(b) != hash {
				continue
			}
			same, err := s.is(int64(place-1), order)
			if err != nil || same {
				return first + i, int64(place - 1), err
			}
		}
	}
}

// is compares the order of an entry.
func (s *shelf) is(at int64, order string) (bool, error) {
	entry, err := s.read(at)
	if err != nil {
		return false, err
	}
	m, err := decodeMemory(entry)
	return m.record.Order == order, err
}

// read returns the bytes of an entry, good until the next call.
func (s *shelf) read(at int64) ([]byte, error) {
	if cap(s.buffer) < entryRead {
		s.buffer = make([]byte, entryRead)
	}
	b := s.buffer[:entryRead]
	n, err := s.entries.ReadAt(b, at)
	if n < 4 {
		return nil, fmt.Errorf("recall an order: %w", err)
	}
	size := 4 + int(binary.LittleEndian.Uint32(b))
	if size > n {
		b = make([]byte, size)
		if _, err := s.entries.ReadAt(b, at); err != nil {
			return nil, fmt.Errorf("recall an order: %w", err)
		}
		s.buffer = b
	}
	return b[4:size], nil
}

func appendMemory(b []byte, m memory) []byte {
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	text(m.record.Order)
	text(string(m.record.State))
	text(m.waits)
	b = binary.AppendUvarint(b, uint64(len(m.record.Lines)))
	for _, l := range m.record.Lines {
		text(l.Goods)
		b = binary.AppendUvarint(b, uint64(l.Num))
	}
	return b
}

var errMemory = errors.New("what was remembered about an order cannot be read")

func decodeMemory(b []byte) (memory, error) {
	bad := false
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			bad = true
			return 0
		}
		b = b[size:]
		return n
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			bad = true
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	m := memory{record: stock.Record{Order: text(), State: stock.State(text())}, waits: text()}
	count := number()
	if bad || count > uint64(len(b)) {
		return memory{}, errMemory
	}
	for range count {
		m.record.Lines = append(m.record.Lines, stock.Line{Goods: text(), Num: int64(number())})
	}
	if bad {
		return memory{}, errMemory
	}
	return m, nil
}
