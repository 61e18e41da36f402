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
	m := meter{processes: Processes{Database: []int{os.Getpid()}}}
	// What other tests use counts, too, and the two accounts are read one after
	// the other. So the one read through /proc is compared with what this process
	// used between its readings, and with what it used around them.
	outerTime, outer := time.Now(), ownTime()
	m.begin()
	inner := ownTime()
	began := m.began
	// Long enough for a clock that ticks a hundred times a second.
	const work = 200 * time.Millisecond
	for ownTime()-inner < work {
		runtime.Gosched()
	}
	m.begin() // once is enough
	inner = ownTime() - inner
	run := m.end(1)
	outer = ownTime() - outer
	if around := time.Since(outerTime); m.began != began || run.Took < work/time.Duration(2*runtime.NumCPU()) || run.Took > around {
		t.Errorf("took %s, want at least the time worked and at most %s", run.Took, around)
	}
	if run.CPU.Consumer < inner || run.CPU.Consumer > outer {
		t.Errorf("consumer: got %s, want %s to %s", run.CPU.Consumer, inner, outer)
	}
	// Half and double are far beyond what ticks cut off, and less than any wrong unit.
	if run.CPU.Database < inner/2 || run.CPU.Database > 2*outer {
		t.Errorf("the same process through /proc: got %s, want about %s to %s", run.CPU.Database, inner, outer)
	}
	if run.CPU.Broker != 0 {
		t.Errorf("a process that is not there used %s", run.CPU.Broker)
	}
	if peak := peakMemory(); peak < 1<<20 || peak > 1<<40 {
		t.Errorf("got a peak of %d bytes", peak)
	}
}
