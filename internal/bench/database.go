package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"orderconsumer/internal/stock"
	"orderconsumer/internal/stock/ledger"
	"orderconsumer/internal/workload"
)

// database is an empty, migrated and stocked database; drop removes it.
func (w *World) database(ctx context.Context, config workload.Config) (target string, drop func(), err error) {
	w.made++
	name := fmt.Sprintf("bench_%s_%d", w.id, w.made)
	_, err = w.admin.ExecContext(ctx, "CREATE DATABASE "+name)
	if err != nil {
		return "", nil, fmt.Errorf("create database %s: %w", name, err)
	}
	drop = func() { w.drop(ctx, name) }
	target, err = w.stocked(ctx, name, config)
	if err != nil {
		drop()
		return "", nil, err
	}
	return target, drop, nil
}

// drop removes a database, also when ctx has ended.
func (w *World) drop(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	_, err := w.admin.ExecContext(ctx, "DROP DATABASE "+name)
	w.clean(err)
}

// stocked migrates a database and fills its stock: a copy of one that was
// imported before, because importing 100,000 goods takes longer than many a
// measurement.
func (w *World) stocked(ctx context.Context, name string, config workload.Config) (target string, err error) {
	target, err = w.migrated(ctx, name)
	if err != nil {
		return "", err
	}
	source, ok := w.stocks[config.Goods]
	if !ok {
		source, err = w.importStock(ctx, config)
		if err != nil {
			return "", err
		}
	}
	for _, table := range []string{"stock", "movements"} {
		_, err = w.admin.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s.%s SELECT * FROM %s.%s", name, table, source, table))
		if err != nil {
			return "", fmt.Errorf("copy %s into %s: %w", table, name, err)
		}
	}
	return target, nil
}

// importStock makes a database with the stock of a workload and nothing else;
// it is kept until Close.
func (w *World) importStock(ctx context.Context, config workload.Config) (name string, err error) {
	w.say("filling a stock of %d goods", config.Goods)
	name = fmt.Sprintf("bench_%s_stock_%d", w.id, config.Goods)
	_, err = w.admin.ExecContext(ctx, "CREATE DATABASE "+name)
	if err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	w.stocks[config.Goods] = name // it is there, and is to be removed
	target, err := w.migrated(ctx, name)
	if err != nil {
		return "", err
	}
	l, err := ledger.Open(ctx, ledger.Config{URL: target})
	if err != nil {
		return "", err
	}
	defer l.Close()   //nolint:errcheck // opened for this function only
	config.Orders = 1 // goods that nobody wants are in the stock as well
	load, err := workload.New(config)
	if err != nil {
		return "", err
	}
	lines := load.Expect().Stock(1)
	for i := range lines {
		lines[i].Num = level
	}
	_, err = l.Import(ctx, ledger.Import{Mode: stock.Set, Lines: lines})
	return name, err
}

// migrated makes the tables and returns the database's URL.
func (w *World) migrated(ctx context.Context, name string) (target string, err error) {
	u, err := url.Parse(w.servers.DatabaseURL)
	if err != nil {
		return "", errors.New("DATABASE_URL: not a URL")
	}
	u.Path = "/" + name
	l, err := ledger.Open(ctx, ledger.Config{URL: u.String()})
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // opened for this function only
	_, err = l.Migrate(ctx)
	return u.String(), err
}
