package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePort returns a port of this machine that nobody listens at, for what has to be
// told its port beforehand. It is none of those that the system hands out by itself
// (from 32768 on, on Linux), nor one of scripts/servers: with one of them another test
// of the same moment would have it sooner or later.
func FreePort(t testing.TB) int {
	t.Helper()
	const low, high, tries = 25_000, 32_000, 100
	var err error
	for range tries {
		port := low + rand.IntN(high-low)
		var l net.Listener
		l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("no free port from %d to %d in %d tries: %v", low, high, tries, err)
	return 0
}
