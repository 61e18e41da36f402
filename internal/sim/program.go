package sim

import (
	"flag"
	"fmt"
	"runtime/debug"
	"strconv"
	"testing"
)

// Play is RunAll in a program that is no test: a bubble needs a running test, so
// it makes one. It can be called once in the life of a process. When a bubble
// breaks, the process dies with the stacks of everybody.
func Play(seeds Seeds, opts Options) (*Report, error) {
	debug.SetTraceback("all")
	testing.Init()
	err := flag.CommandLine.Parse([]string{"-test.parallel=" + strconv.Itoa(opts.Workers)})
	if err != nil {
		return nil, fmt.Errorf("play seeds %s: %w", seeds, err)
	}
	reports := make(chan *Report)
	played := testing.InternalTest{Name: "sim", F: func(t *testing.T) {
		reports <- RunAll(t, seeds, opts)
		select {} // the end of the test would be the end of the process
	}}
	go testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{played}, nil, nil)
	return <-reports, nil
}
