package bench

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"

	"orderconsumer/internal/stock"
)

// stockRow, orderRow and movementRow are the ledger's tables, as a shop would
// declare them for GORM.
type stockRow struct {
	GoodsID   []byte `gorm:"primaryKey"`
	Available int64
	UpdatedAt time.Time
}

// TableName implements GORM's Tabler.
func (stockRow) TableName() string { return "stock" }

type orderRow struct {
	OrderID         []byte `gorm:"primaryKey"`
	State           stock.State
	Items           []byte
	Shortages       []byte
	OriginTopic     string
	OriginPartition int
	OriginOffset    int64
	Attempts        int
	DecidedAt       time.Time
	ReleasedAt      *time.Time
}

// TableName implements GORM's Tabler.
func (orderRow) TableName() string { return "orders" }

type movementRow struct {
	Ref     []byte     `gorm:"primaryKey"`
	GoodsID []byte     `gorm:"primaryKey"`
	Kind    stock.Kind `gorm:"primaryKey"`
	Delta   int64
	Balance int64
	MovedAt time.Time
}

// TableName implements GORM's Tabler.
func (movementRow) TableName() string { return "movements" }

// shop sells one order at a time.
type shop struct{ db *gorm.DB }

// idleConnections are kept open for workers that have just sold something.
const idleConnections = workers

// openShop opens the database with what helps one order a transaction: enough
// connections for every worker, none of which is closed in between, one round
// trip for each statement, and no transaction around what is in one already.
func openShop(ctx context.Context, target string) (*shop, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("database URL: not a URL")
	}
	cfg, err := serverOf(target)
	if err != nil {
		return nil, err
	}
	cfg.DBName = strings.TrimPrefix(u.Path, "/")
	cfg.ParseTime, cfg.Loc, cfg.InterpolateParams = true, time.UTC, true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("configure connection to %s: %w", u.Host, err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(idleConnections)
	pool.SetMaxIdleConns(idleConnections)
	db, err := gorm.Open(gormmysql.New(gormmysql.Config{Conn: pool}), &gorm.Config{
		SkipDefaultTransaction:   true,
		DisableNestedTransaction: true,
		TranslateError:           true,
		Logger:                   logger.Discard,
	})
	if err == nil {
		err = pool.PingContext(ctx)
	}
	if err != nil {
		_ = pool.Close() // nothing is in flight
		return nil, fmt.Errorf("open shop at %s: %w", u.Host, err)
	}
	return &shop{db: db}, nil
}

func (s *shop) close() {
	if pool, err := s.db.DB(); err == nil {
		_ = pool.Close() // nothing is in flight
	}
}

// errAgain asks for the same order again.
var errAgain = errors.New("rolled back, or not known to be committed")

// sell is one order in one transaction, exactly once: First, check, Save. First
// locks its row: a mutex that expires half-way would let two sellers read the
// same level, and Save would overwrite what the other has taken.
func (s *shop) sell(ctx context.Context, req *stock.Request) (stock.Record, error) {
	var record stock.Record
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		levels := make([]stockRow, len(req.Lines))
		record = stock.Record{
			Order: req.Order, State: stock.Deducted, Lines: req.Lines, Origin: req.Origin, Attempts: req.Attempt,
			DecidedAt: time.Now().UTC().Truncate(time.Millisecond),
		}
		for i, line := range req.Lines {
			err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
				First(&levels[i], "goods_id = ?", []byte(line.Goods)).Error
			if err != nil {
				return fmt.Errorf("read level of goods %s: %w", line.Goods, err)
			}
			if available := levels[i].Available; available < line.Num {
				record.State = stock.Rejected
				record.Shortages = append(record.Shortages,
					stock.Shortage{Goods: line.Goods, Wanted: line.Num, Available: available})
			}
		}
		return save(tx, &record, levels)
	})
	switch {
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return s.find(ctx, req)
	case isPassing(err):
		return record, fmt.Errorf("%w: %w", errAgain, err)
	case err != nil:
		return record, fmt.Errorf("sell order %s: %w", req.Order, err)
	}
	return record, nil
}

// save writes the order and, unless it is rejected, what it takes.
func save(tx *gorm.DB, record *stock.Record, levels []stockRow) error {
	row, err := rowOf(record)
	if err != nil {
		return err
	}
	err = tx.Create(row).Error
	if err != nil || record.State == stock.Rejected {
		return err
	}
	movements := make([]movementRow, len(levels))
	for i, line := range record.Lines {
		levels[i].Available -= line.Num
		levels[i].UpdatedAt = record.DecidedAt
		err := tx.Save(&levels[i]).Error
		if err != nil {
			return err
		}
		movements[i] = movementRow{
			Ref: row.OrderID, GoodsID: levels[i].GoodsID, Kind: stock.KindDeduct,
			Delta: -line.Num, Balance: levels[i].Available, MovedAt: record.DecidedAt,
		}
	}
	return tx.Create(&movements).Error
}

// rowOf is the order as it is kept: items is {"goods":num,...}.
func rowOf(record *stock.Record) (*orderRow, error) {
	nums := make(map[string]int64, len(record.Lines))
	for _, line := range record.Lines {
		nums[line.Goods] = line.Num
	}
	items, err := json.Marshal(nums)
	if err != nil {
		return nil, fmt.Errorf("items of order %s: %w", record.Order, err)
	}
	return &orderRow{
		OrderID: []byte(record.Order), State: record.State, Items: items,
		OriginTopic: record.Origin.Topic, OriginPartition: record.Origin.Partition, OriginOffset: record.Origin.Offset,
		Attempts: record.Attempts, DecidedAt: record.DecidedAt,
	}, nil
}

// find answers an order that has been sold before, by what was written then.
func (s *shop) find(ctx context.Context, req *stock.Request) (stock.Record, error) {
	var row orderRow
	err := s.db.WithContext(ctx).First(&row, "order_id = ?", []byte(req.Order)).Error
	if err != nil {
		return stock.Record{}, fmt.Errorf("read order %s: %w", req.Order, err)
	}
	return stock.Record{
		Order: req.Order, State: row.State, Lines: req.Lines, Attempts: row.Attempts, DecidedAt: row.DecidedAt.UTC(),
		Origin: stock.Origin{Topic: row.OriginTopic, Partition: row.OriginPartition, Offset: row.OriginOffset},
	}, nil
}

// Numbers of the server's errors that a transaction may be run again after.
const (
	erLockWait = 1205
	erDeadlock = 1213
)

// isPassing reports an error after which the same order is sold again: the
// primary key says whether it was committed.
func isPassing(err error) bool {
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return answer.Number == erLockWait || answer.Number == erDeadlock
	}
	return errors.Is(err, mysql.ErrInvalidConn)
}
