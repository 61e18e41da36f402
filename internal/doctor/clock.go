package doctor

import (
	"fmt"
	"strings"
	"time"
)

// CheckClock is the name of the last check.
const CheckClock = "clock"

// clockTolerance is how far clocks may be apart. Retry delays and the times in
// the records are off by as much; nothing counts on them being closer.
const clockTolerance = time.Second

// clockReading is a server's clock held against ours.
type clockReading struct {
	server string
	offset time.Duration // the server's clock minus ours
	trip   time.Duration // how long the question took; the offset is wrong by up to half of it
}

// readClock compares the time a server told with the middle of the question.
func readClock(server string, told, asked time.Time, trip time.Duration) clockReading {
	return clockReading{server: server, offset: told.Sub(asked.Add(trip / 2)), trip: trip}
}

// off is true when no slowness of the network explains the difference.
func (r clockReading) off() bool { return r.offset.Abs()-r.trip/2 > clockTolerance }

// String says how far this machine is from the server.
func (r clockReading) String() string {
	way := "behind"
	if r.offset < 0 {
		way = "ahead of"
	}
	return fmt.Sprintf("%s %s %s", r.offset.Abs().Round(time.Millisecond), way, r.server)
}

// compareClocks makes one finding of all readings.
func compareClocks(readings []clockReading) Finding {
	if len(readings) == 0 {
		return Finding{Name: CheckClock, Status: StatusWarn, What: "no server told its time", Skipped: true}
	}
	var servers, off []string
	for _, r := range readings {
		servers = append(servers, r.server)
		if r.off() {
			off = append(off, r.String())
		}
	}
	if len(off) == 0 {
		return Finding{Name: CheckClock, Status: StatusOK,
			What: fmt.Sprintf("within %s of %s", clockTolerance, strings.Join(servers, ", "))}
	}
	return Finding{Name: CheckClock, Status: StatusWarn,
		What: "this machine is " + strings.Join(off, ", "),
		Fix:  "synchronise the clocks of both machines (chrony, systemd-timesyncd)"}
}
