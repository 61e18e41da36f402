package telemetry

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lines returns the report as a probe shows it.
func lines(r Report) []string {
	var out []string
	for _, l := range r.Lines {
		out = append(out, l.String())
	}
	return out
}

// newReady returns the health of an instance that is ready.
func newReady() *Health {
	h := NewHealth(HealthConfig{Required: []string{DependencyDatabase}, Optional: []string{DependencyRedis}})
	h.Checked(DependencyDatabase, nil)
	h.Checked(DependencyRedis, nil)
	h.Joined(true)
	return h
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	gone := errors.New("connection\nrefused")
	for _, tt := range []struct {
		name  string
		do    func(*Health)
		ready bool
		line  string // that must be in the report, 3 s later
	}{
		{"all is well", func(*Health) {}, true, "[+]database ok"},
		{"a required check fails", func(h *Health) { h.Checked(DependencyDatabase, gone) },
			false, "[-]database: connection refused (for 3s)"},
		{"an optional check only warns", func(h *Health) { h.Checked(DependencyRedis, gone) },
			true, "[!]redis: connection refused (for 3s)"},
		{"a check nobody asked for only warns", func(h *Health) { h.Checked("clock", gone) },
			true, "[!]clock: connection refused (for 3s)"},
		{"the group is left", func(h *Health) { h.Joined(false) }, false, "[-]group: not joined (for 3s)"},
		{"the group is joined again", func(h *Health) { h.Joined(false); h.Joined(true) }, true, "[+]group ok"},
		{"work is paused", func(h *Health) { h.Paused(DependencyKafka, gone) },
			false, "[-]work: paused by kafka: connection refused (for 3s)"},
		{"work is paused for two reasons, of which one ends", func(h *Health) {
			h.Paused(DependencyKafka, gone)
			h.Paused(DependencyDatabase, gone)
			h.Paused(DependencyKafka, nil)
		}, false, "[-]work: paused by database: connection refused (for 3s)"},
		{"work goes on", func(h *Health) { h.Paused(DependencyKafka, gone); h.Paused(DependencyKafka, nil) },
			true, "[+]work ok"},
		{"it drains", (*Health).Drain, false, "[-]shutdown: draining (for 3s)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newReady()
				tt.do(h)
				<-time.After(3 * time.Second)
				r := h.Ready()
				if r.OK() != tt.ready || (r.Err() == nil) != tt.ready {
					t.Errorf("ready: %v, error %v, want %v", r.OK(), r.Err(), tt.ready)
				}
				if got := strings.Join(lines(r), "\n"); !strings.Contains(got, tt.line) {
					t.Errorf("report has no line %q:\n%s", tt.line, got)
				}
			})
		})
	}
}

func TestAnInstanceIsNotReadyBeforeItWasChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(HealthConfig{Required: []string{DependencyDatabase}, Optional: []string{DependencyRedis}})
		want := []string{
			"[-]database: not checked yet (for 0s)",
			"[!]redis: not checked yet (for 0s)",
			"[-]group: not joined (for 0s)",
			"[+]work ok",
			"[+]shutdown ok",
		}
		if diff := cmp.Diff(want, lines(h.Ready())); diff != "" {
			t.Errorf("report (-want +got):\n%s", diff)
		}
	})
}

func TestAStateIsAsOldAsItsFirstReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newReady()
		for range 4 {
			h.Checked(DependencyDatabase, errors.New("gone"))
			<-time.After(5 * time.Second)
		}
		if got, want := lines(h.Ready())[0], "[-]database: gone (for 20s)"; got != want {
			t.Errorf("line is %q, want %q", got, want)
		}
		h.Checked(DependencyDatabase, nil)
		h.Checked(DependencyDatabase, errors.New("gone again"))
		if got, want := lines(h.Ready())[0], "[-]database: gone again (for 0s)"; got != want {
			t.Errorf("line is %q, want %q", got, want)
		}
	})
}

func TestALongOrMultiLineMessageStaysOneShortLine(t *testing.T) {
	t.Parallel()
	got := oneLine("a\r\n[+]database ok\t" + strings.Repeat("\u4e2d", 200) + "\xff")
	if strings.ContainsAny(got, "\r\n\t") || len(got) > maxMessage+len("...") || !strings.HasPrefix(got, "a [+]database ok") {
		t.Errorf("got %q", got)
	}
}
