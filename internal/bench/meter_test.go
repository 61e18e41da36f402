package bench

import (
	"net"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestListenersAreFoundByTheirPorts(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who listens")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	found := listeners([]string{"192.0.2.1:80", "no address", listener.Addr().String()})
	if !slices.Equal(found, []int{os.Getpid()}) {
		t.Errorf("got %v, want this process %d", found, os.Getpid())
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if found := listeners([]string{"192.0.2.1:" + port}); found != nil {
		t.Errorf("got %v for a port of another machine", found)
	}
}

func TestProcessorTimeAndMemoryAreRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells about other processes")
	}
	self := Processes{Database: []int{os.Getpid()}}
	m := meter{processes: self}
	m.begin()
	began := m.began
	// Long enough for a clock that ticks a hundred times a second.
	const work = 50 * time.Millisecond
	for start := ownTime(); ownTime()-start < work; {
		runtime.Gosched()
	}
	m.begin() // once is enough
	run := m.end(1)
	if m.began != began || run.Took < work/time.Duration(runtime.NumCPU()) {
		t.Errorf("took %s, want at least the time worked", run.Took)
	}
	if run.CPU.Consumer < work {
		t.Errorf("consumer: got %s, want at least %s", run.CPU.Consumer, work)
	}
	if d := run.CPU.Database - run.CPU.Consumer; d < -2*tick || d > 2*tick {
		t.Errorf("the same process used %s by one account and %s by the other", run.CPU.Consumer, run.CPU.Database)
	}
	if run.CPU.Broker != 0 {
		t.Errorf("a process that is not there used %s", run.CPU.Broker)
	}
	if peak := peakMemory(); peak < 1<<20 || peak > 1<<40 {
		t.Errorf("got a peak of %d bytes", peak)
	}
}
