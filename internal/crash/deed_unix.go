//go:build unix

package crash

import (
	"fmt"
	"os"
	"syscall"
)

// do does it to this process.
func (d Deed) do(at Point) {
	switch d {
	case Panic:
		panic(fmt.Sprintf("panic on demand at %s", at))
	case Stop:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // a process may always signal itself
	default:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing may happen between the signal and the end
	}
}
