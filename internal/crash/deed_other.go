//go:build !unix

package crash

import (
	"fmt"
	"os"
)

// do does it to this process. There is no way to freeze one here.
func (d Deed) do(at Point) {
	switch d {
	case Panic, Stop:
		panic(fmt.Sprintf("%s on demand at %s", d, at))
	default:
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			_ = self.Kill()
		}
		select {} // nothing may happen between the signal and the end
	}
}
