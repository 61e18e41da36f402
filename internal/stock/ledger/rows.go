package ledger

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"orderconsumer/internal/stock"
)

// key is a column of bytes that is an id. As a parameter it must not become a
// character string: SQLite never finds a BLOB equal to one.
type key string

// Value implements [driver.Valuer].
func (k key) Value() (driver.Value, error) { return []byte(k), nil }

// Scan implements sql.Scanner.
func (k *key) Scan(value any) error {
	switch v := value.(type) {
	case []byte:
		*k = key(v)
	case string:
		*k = key(v)
	default:
		return fmt.Errorf("id column holds a %T", value)
	}
	return nil
}

func keysOf(ids []string) []key {
	keys := make([]key, len(ids))
	for i, id := range ids {
		keys[i] = key(id)
	}
	return keys
}

// stockRow is a row of stock.
type stockRow struct {
	GoodsID   key `gorm:"primaryKey"`
	Available int64
	UpdatedAt time.Time
	Version   int64
}

// TableName implements GORM's Tabler.
func (stockRow) TableName() string { return "stock" }

func (r *stockRow) level() stock.Level {
	return stock.Level{Goods: string(r.GoodsID), Available: r.Available, UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version}
}

// movementRow is a row of movements.
type movementRow struct {
	Ref     key        `gorm:"primaryKey"`
	GoodsID key        `gorm:"primaryKey"`
	Kind    stock.Kind `gorm:"primaryKey"`
	Delta   int64
	Balance int64
	MovedAt time.Time
}

// TableName implements GORM's Tabler.
func (movementRow) TableName() string { return "movements" }

func (r *movementRow) movement() stock.Movement {
	return stock.Movement{
		Ref: string(r.Ref), Goods: string(r.GoodsID), Kind: r.Kind,
		Delta: r.Delta, Balance: r.Balance, At: r.MovedAt.UTC(),
	}
}

// orderRow is a row of orders.
type orderRow struct {
	OrderID         key `gorm:"primaryKey"`
	State           stock.State
	Items           []byte
	Shortages       []byte
	OriginTopic     key
	OriginPartition int
	OriginOffset    int64
	Attempts        int
	DecidedAt       time.Time
	ReleasedAt      *time.Time
}

// OrderColumns are the columns of the orders table, in the order the ledger reads
// them; every dialect selects these.
const OrderColumns = "order_id,state,items,shortages,origin_topic,origin_partition,origin_offset,attempts,decided_at,released_at"

// TableName implements GORM's Tabler.
func (orderRow) TableName() string { return "orders" }

func scanOrder(rows *sql.Rows) (stock.Record, error) {
	var r orderRow
	if err := r.scan(rows); err != nil {
		return stock.Record{}, err
	}
	return r.record()
}

// scan reads a row of OrderColumns.
func (r *orderRow) scan(rows *sql.Rows) error {
	return rows.Scan(&r.OrderID, &r.State, &r.Items, &r.Shortages, &r.OriginTopic, &r.OriginPartition,
		&r.OriginOffset, &r.Attempts, &r.DecidedAt, &r.ReleasedAt)
}

func (r *orderRow) record() (stock.Record, error) {
	record := stock.Record{
		Order:     string(r.OrderID),
		State:     r.State,
		Origin:    stock.Origin{Topic: string(r.OriginTopic), Partition: r.OriginPartition, Offset: r.OriginOffset},
		Attempts:  r.Attempts,
		DecidedAt: r.DecidedAt.UTC(),
	}
	if r.ReleasedAt != nil {
		record.ReleasedAt = r.ReleasedAt.UTC()
	}
	var err error
	if record.Lines, err = decodeItems(r.Items); err != nil {
		return record, fmt.Errorf("items of order %q: %w", r.OrderID, err)
	}
	if record.Shortages, err = decodeShortages(r.Shortages); err != nil {
		return record, fmt.Errorf("shortages of order %q: %w", r.OrderID, err)
	}
	return record, nil
}

// appendItems writes lines as a JSON object, {"421":2,"7":1}: the canonical
// form of an order's content, in which equal content is equal text.
func appendItems(b []byte, lines []stock.Line) []byte {
	if lines == nil {
		return nil
	}
	b = append(b[:0], '{')
	for i, line := range lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, line.Goods)
		b = append(b, ':')
		b = strconv.AppendInt(b, line.Num, 10)
	}
	return append(b, '}')
}

// appendJSONString escapes what JSON must have escaped and nothing else.
func appendJSONString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

var errItems = errors.New("not an object of goods and nums")

// decodeItems reads what appendItems wrote, keeping the order of the lines.
func decodeItems(text []byte) ([]stock.Line, error) {
	if text == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errItems
	}
	var lines []stock.Line
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errItems, err)
		}
		value, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errItems, err)
		}
		goods, _ := name.(string)
		number, _ := value.(json.Number)
		num, err := number.Int64()
		if err != nil {
			return nil, fmt.Errorf("%w: num of %q is %v", errItems, goods, value)
		}
		lines = append(lines, stock.Line{Goods: goods, Num: num})
	}
	if end, err := dec.Token(); err != nil || end != json.Delim('}') {
		return nil, errItems
	}
	return lines, nil
}

// shortageJSON is an element of the shortages column.
type shortageJSON struct {
	Goods     string `json:"goods_id"`
	Wanted    int64  `json:"wanted"`
	Available int64  `json:"available"`
}

func appendShortages(b []byte, shortages []stock.Shortage) []byte {
	if shortages == nil {
		return nil
	}
	b = append(b[:0], '[')
	for i, s := range shortages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"goods_id":`...)
		b = appendJSONString(b, s.Goods)
		b = append(b, `,"wanted":`...)
		b = strconv.AppendInt(b, s.Wanted, 10)
		b = append(b, `,"available":`...)
		b = strconv.AppendInt(b, s.Available, 10)
		b = append(b, '}')
	}
	return append(b, ']')
}

func decodeShortages(text []byte) ([]stock.Shortage, error) {
	if text == nil {
		return nil, nil
	}
	var raw []shortageJSON
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	shortages := make([]stock.Shortage, len(raw))
	for i, s := range raw {
		shortages[i] = stock.Shortage(s)
	}
	return shortages, nil
}
