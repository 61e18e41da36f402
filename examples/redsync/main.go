// Command redsync shows what a lock with an expiry cannot promise: four things
// that go wrong with github.com/go-redsync/redsync used the textbook way, each
// beside what this project does instead. docs/redsync.md explains them.
//
//	go run ./examples/redsync
//
// runs on a Redis and a database inside the process. With -redis and -database
// it runs on real ones; what it creates there it calls example-..., and removes
// the textbook's table again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	redis := flag.String("redis", "", "Redis to use, redis://host:port/db; empty: one inside the process")
	database := flag.String("database", "", "MySQL or MariaDB to use, mysql://user:password@host:port/database; empty: SQLite in a temporary file")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, *redis, *database); err != nil {
		fmt.Fprintln(os.Stderr, "redsync:", err)
		os.Exit(1)
	}
}

const (
	// expiry is short, so that nobody has to wait long for a lock to expire.
	expiry = 300 * time.Millisecond
	// pause is how long a holder is held up: a garbage collection, a virtual machine
	// that is moved, a database that takes its time.
	pause = 2 * expiry
)

// run tells all stories. It fails when one does not go as told.
func run(ctx context.Context, out io.Writer, redis, database string) (err error) {
	w, err := open(ctx, redis, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	for i, story := range []struct {
		title string
		tell  func(context.Context, *world) ([2]string, error)
	}{
		{"a holder is paused for longer than its lock lasts; there are 10, and two shops sell 10 each", paused},
		{"a request ends, and its context with it, before it unlocks", cancelled},
		{"a quorum of two addresses that reach one Redis", sameServer},
		{"a lock expires, another holds it meanwhile, and the first extends it (SetNXOnExtend)", extended},
	} {
		told, err := story.tell(ctx, w)
		if err != nil {
			return fmt.Errorf("story %d: %w", i+1, err)
		}
		fmt.Fprintf(out, "%d. %s\n   textbook: %s\n   here:     %s\n", i+1, story.title, told[0], told[1])
	}
	return nil
}

// rest waits for a pause, as a holder does that is held up.
func rest(ctx context.Context) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
