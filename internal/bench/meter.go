package bench

import (
	"sync"
	"time"
)

// CPU is processor time, by who used it. The servers' is zero where it cannot
// be read: on another machine or another system.
type CPU struct {
	Consumer, Database, Broker, Redis time.Duration
}

func (c CPU) minus(d CPU) CPU {
	return CPU{
		Consumer: c.Consumer - d.Consumer,
		Database: c.Database - d.Database,
		Broker:   c.Broker - d.Broker,
		Redis:    c.Redis - d.Redis,
	}
}

// Processes are the servers' process ids, as far as they run on this machine.
type Processes struct {
	Database, Broker, Redis []int
}

// meter takes the time of a measurement and what it costs.
type meter struct {
	processes Processes

	once  sync.Once
	began time.Time
	start CPU
}

// begin starts the meter, the first time it is called: when the first message
// has been read. Joining a group takes seconds and is not what is measured.
func (m *meter) begin() {
	m.once.Do(func() {
		m.began = time.Now()
		m.start = m.read()
	})
}

// end is a run of so many events that has just ended.
func (m *meter) end(events int) Run {
	took := time.Since(m.began)
	return Run{Events: events, Took: took, CPU: m.read().minus(m.start)}
}

func (m *meter) read() CPU {
	return CPU{
		Consumer: ownTime(),
		Database: processTime(m.processes.Database),
		Broker:   processTime(m.processes.Broker),
		Redis:    processTime(m.processes.Redis),
	}
}
