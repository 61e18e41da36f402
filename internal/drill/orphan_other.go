//go:build !linux

package drill

import "syscall"

// orphanDies: elsewhere nobody tells a child that its parent is gone.
func orphanDies() *syscall.SysProcAttr { return nil }
