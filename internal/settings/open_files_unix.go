//go:build unix

package settings

import "golang.org/x/sys/unix"

// OpenFilesLimit is how many files this process may have open at a time.
func OpenFilesLimit() (limit uint64, known bool) {
	var r unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r)
	return uint64(r.Cur), err == nil //nolint:unconvert // it is signed on some systems
}
