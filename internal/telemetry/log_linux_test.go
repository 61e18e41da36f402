package telemetry

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns both ends of a new pseudo terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPING: this machine has no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("SKIPPING: unlock a pseudo terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("SKIPPING: name a pseudo terminal: %v", err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPING: open a pseudo terminal: %v", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return master, terminal
}

// These subtests set the environment and cannot run in parallel.
func TestATerminalGetsTextForPeople(t *testing.T) {
	for _, tt := range []struct {
		name, noColor, term string
		colour              bool
	}{
		{"in colours", "", "xterm", true},
		{"without colours when NO_COLOR is set", "1", "xterm", false},
		{"without colours when it cannot show any", "", "dumb", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", tt.noColor)
			t.Setenv("TERM", tt.term)
			master, terminal := openTerminal(t)
			NewLogger(terminal, LogConfig{}).Info("hello", "order_id", "A-1")
			buf := make([]byte, 1024)
			n, err := master.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			line := string(buf[:n])
			if strings.HasPrefix(line, "{") || !strings.Contains(line, "hello") || !strings.Contains(line, "A-1") {
				t.Errorf("the terminal shows %q", line)
			}
			if got := strings.Contains(line, "\x1b["); got != tt.colour {
				t.Errorf("colours: %v, want %v, in %q", got, tt.colour, line)
			}
		})
	}
}
