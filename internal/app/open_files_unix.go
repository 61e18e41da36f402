//go:build unix

package app

import "golang.org/x/sys/unix"

// openFilesLimit is how many files this process may have open at a time.
func openFilesLimit() (limit uint64, known bool) {
	var r unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
	return uint64(r.Cur), err == nil //nolint:unconvert // it is signed on some systems
}
