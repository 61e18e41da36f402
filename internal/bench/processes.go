package bench

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// procFolder is where Linux tells about processes. Elsewhere there is none, and
// then nothing is told.
const procFolder = "/proc"

const (
	// tick is the unit of processor time there: 100 a second on every system
	// that Linux runs on.
	tick = time.Second / 100
	// listening is the state of a socket that accepts connections.
	listening = "0A"
)

// listeners are the processes of this machine that listen on any of the
// addresses, host:port. Addresses of other machines have none.
func listeners(addresses []string) []int {
	inodes := make(map[string]bool)
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil || !isLocal(host) {
			continue
		}
		for _, inode := range socketsOn(port) {
			inodes["socket:["+inode+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(procFolder, "[0-9]*", "fd", "*")) // its only error is a bad pattern
	var processes []int
	for _, file := range files {
		target, err := os.Readlink(file)
		if err != nil || !inodes[target] {
			continue
		}
		id, err := strconv.Atoi(strings.Split(file, string(filepath.Separator))[2])
		if err == nil && !slices.Contains(processes, id) {
			processes = append(processes, id)
		}
	}
	return processes
}

func isLocal(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// socketsOn are the inodes of the sockets that listen on a port.
func socketsOn(port string) []string {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	suffix := fmt.Sprintf(":%04X", number)
	var inodes []string
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		table, err := os.ReadFile(filepath.Join(procFolder, name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			// sl local_address rem_address st queues timer retransmits uid timeout inode
			fields := strings.Fields(line)
			if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == listening {
				inodes = append(inodes, fields[9])
			}
		}
	}
	return inodes
}

// processTime is the processor time that the processes have used.
func processTime(ids []int) time.Duration {
	var total time.Duration
	for _, id := range ids {
		stat, err := os.ReadFile(filepath.Join(procFolder, strconv.Itoa(id), "stat"))
		if err != nil {
			continue
		}
		// The second field is the name in parentheses, which may hold spaces.
		_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte{' '})
		fields := strings.Fields(string(rest))
		const user, system = 11, 12 // counted from the state
		if len(fields) <= system {
			continue
		}
		for _, field := range []string{fields[user], fields[system]} {
			ticks, _ := strconv.ParseInt(field, 10, 64) // the kernel writes numbers
			total += time.Duration(ticks) * tick
		}
	}
	return total
}

// peakMemory is the most memory that this process ever held, in bytes.
func peakMemory() int64 {
	status, err := os.ReadFile(filepath.Join(procFolder, "self", "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}
