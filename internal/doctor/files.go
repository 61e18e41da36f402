package doctor

import (
	"context"
	"fmt"

	"orderconsumer/internal/settings"
)

// CheckOpenFiles is the name of the check.
const CheckOpenFiles = "open files"

// files holds what the system lets this process have open against what it wants.
// One that may have too few finds out at any connection, and what the client of a
// server then says is seldom the cause.
func (d Doctor) files(_ context.Context, c *chart) {
	limit, known := settings.OpenFilesLimit()
	if known {
		c.note(filesFinding(limit, d.Settings.FilesWanted()))
	}
}

func filesFinding(limit uint64, wanted int) Finding {
	f := Finding{Name: CheckOpenFiles, Status: StatusOK, What: fmt.Sprintf("at most %d, about %d are wanted", limit, wanted)}
	enough := fmt.Sprintf("raise the limit: ulimit -n %d in the shell that starts it, LimitNOFILE of a service, --ulimit nofile of a container", max(1024, 2*wanted))
	switch {
	case limit < settings.FilesLeast:
		f.Status, f.Fix = StatusFail, enough
		f.What = fmt.Sprintf("this process may have %d open at a time (connections are files), nothing works with fewer than %d", limit, settings.FilesLeast)
	case limit < uint64(wanted):
		f.Status, f.Fix = StatusWarn, enough
		f.What = fmt.Sprintf("this process may have %d open at a time (connections are files), and wants about %d: connections to Redis would be few, and some to brokers may fail at times", limit, wanted)
	}
	return f
}
