package drill

import "syscall"

// orphanDies: a drill that is killed itself leaves no consumers behind.
func orphanDies() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
