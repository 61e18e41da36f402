package faultsuite

import (
	"syscall"

	"orderconsumer/internal/drill"
)

func freeze(c *drill.Consumer) { c.Signal(syscall.SIGSTOP) }

func thaw(c *drill.Consumer) { c.Signal(syscall.SIGCONT) }
