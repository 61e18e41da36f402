package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Settings is what a database server says about itself, as far as the ledger's
// promises depend on it. A setting the server does not have is empty.
type Settings struct {
	Dialect string // mysql, mariadb or sqlite
	Version string
	// FlushLogAtCommit is innodb_flush_log_at_trx_commit: at anything but 1 a
	// crash of the machine loses commits that were answered.
	FlushLogAtCommit string
	// LogBin and SyncBinlog: with the binary log on, sync_binlog at anything but 1
	// does the same.
	LogBin     string
	SyncBinlog string
	// Isolation is the server's default; the ledger asks for its own.
	Isolation string
	// ReadOnly is set when the server refuses writes.
	ReadOnly bool
	// ClockOffset is the server's clock minus ours, wrong by up to RoundTrip.
	ClockOffset time.Duration
	RoundTrip   time.Duration
}

// Settings asks the server. It is for people (doctor): nothing here changes how
// the ledger works.
func (l *Ledger) Settings(ctx context.Context) (Settings, error) {
	s := Settings{Dialect: l.dialect.Name}
	if err := l.dialect.Inspect(ctx, l.db.WithContext(ctx), &s); err != nil {
		return s, fmt.Errorf("read database settings: %w", l.translate(ctx, err))
	}
	return s, nil
}

func inspectMySQL(_ context.Context, db *gorm.DB, s *Settings) error {
	type variable struct {
		Name  string `gorm:"column:Variable_name"`
		Value string `gorm:"column:Value"`
	}
	var variables []variable
	// SHOW rather than @@name: the two servers do not have the same ones.
	err := db.Raw("SHOW GLOBAL VARIABLES WHERE Variable_name IN ?", []string{
		"version", "innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog",
		"transaction_isolation", "tx_isolation", "read_only", "super_read_only", "innodb_read_only",
	}).Scan(&variables).Error
	if err != nil {
		return err
	}
	for _, v := range variables {
		switch v.Name {
		case "version":
			s.Version = v.Value
		case "innodb_flush_log_at_trx_commit":
			s.FlushLogAtCommit = v.Value
		case "log_bin":
			s.LogBin = v.Value
		case "sync_binlog":
			s.SyncBinlog = v.Value
		case "transaction_isolation", "tx_isolation":
			s.Isolation = v.Value
		case "read_only", "super_read_only", "innodb_read_only":
			s.ReadOnly = s.ReadOnly || strings.EqualFold(v.Value, "ON")
		}
	}
	var now time.Time
	asked := time.Now()
	if err := db.Raw("SELECT UTC_TIMESTAMP(6)").Row().Scan(&now); err != nil {
		return err
	}
	s.RoundTrip = time.Since(asked)
	s.ClockOffset = now.Sub(asked.Add(s.RoundTrip / 2)).Round(time.Millisecond)
	return nil
}
