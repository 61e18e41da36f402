package app

import (
	"context"
	"fmt"

	"orderconsumer/internal/stock/ledger"
)

// checkOpenFiles is the name of the check.
const checkOpenFiles = "open files"

const (
	// filesAside are those that have nothing to do with partitions or the database:
	// the standard streams, the poller, HTTP, a few connections to Redis and to each
	// broker, and room for those that are made anew before the old ones have gone.
	filesAside = 24
	// filesLeast let one partition, one transaction and one lock be worked with.
	filesLeast = filesAside
)

// filesWanted are about as many as an instance has open that has all partitions to
// itself, each of which is read through a connection of its own.
func (s ConsumerSettings) filesWanted() int {
	return s.Topics.Partitions*len(s.Group.topics().Consumed()) + ledger.ConnsFor(s.Flow.Workers) + filesAside
}

// files holds what the system lets this process have open against what it wants.
// One that may have too few finds out at any connection, and what the client of a
// server then says is seldom the cause.
func (d doctor) files(_ context.Context, c *chart) {
	limit, known := openFilesLimit()
	if known {
		c.note(filesFinding(limit, d.settings.filesWanted()))
	}
}

func filesFinding(limit uint64, wanted int) finding {
	f := finding{Name: checkOpenFiles, Status: statusOK, What: fmt.Sprintf("at most %d, about %d are wanted", limit, wanted)}
	enough := fmt.Sprintf("raise the limit: ulimit -n %d in the shell that starts it, LimitNOFILE of a service, --ulimit nofile of a container", max(1024, 2*wanted))
	switch {
	case limit < filesLeast:
		f.Status, f.Fix = statusFail, enough
		f.What = fmt.Sprintf("this process may have %d open at a time (connections are files), nothing works with fewer than %d", limit, filesLeast)
	case limit < uint64(wanted):
		f.Status, f.Fix = statusWarn, enough
		f.What = fmt.Sprintf("this process may have %d open at a time (connections are files), and wants about %d when it has all partitions to itself: some would not be read", limit, wanted)
	}
	return f
}
