package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// trial is a command whose end the test chooses.
type trial struct {
	OutputSettings
	Count int `default:"1" env:"TRIAL_COUNT" help:"A number."`

	do func(ctx context.Context, s *Session) error
}

func (c *trial) Run(ctx context.Context, s *Session) error { return c.do(ctx, s) }

type trialCommands struct {
	Go      trial          `cmd:"" help:"Try."`
	Version VersionCommand `cmd:"" help:"Say which build this is."`
}

type ending struct {
	code           Exit
	stdout, stderr string
}

// try runs the trial program with args.
func try(t *testing.T, signals chan os.Signal, do func(context.Context, *Session) error, args ...string) ending {
	t.Helper()
	var stdout, stderr bytes.Buffer
	commands := &trialCommands{Go: trial{do: do}}
	p := Program{Name: "trial", Help: "A program.", Commands: commands}
	code := p.RunUnder(signals, args, Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr})
	return ending{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func TestProgramEndsWithTheCodeOfItsCommand(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such topic")
	for _, tt := range []struct {
		name   string
		args   []string
		err    error
		code   Exit
		stderr string
	}{
		{name: "a command that did everything", code: ExitOK},
		{name: "a plain error", err: cause, code: ExitFailed, stderr: "trial: no such topic\n"},
		{
			name: "a failure names the next thing to do",
			err:  &Failure{Code: ExitUnreachable, Err: cause, Try: "scripts/servers up"},
			code: ExitUnreachable, stderr: "trial: no such topic\n  try: scripts/servers up\n",
		},
		{
			name: "a setting that makes no sense", err: Usage("--count %d is no good", 3),
			code: ExitUsage, stderr: "trial: --count 3 is no good\n  try: trial go --help\n",
		},
		{
			name: "a flag of the wrong type", args: []string{"--count", "many"}, code: ExitUsage,
			stderr: "trial: --count: expected a valid 64 bit int but got \"many\"\n  try: trial go --help\n",
		},
		{
			name: "an unknown flag", args: []string{"--cuont", "3"}, code: ExitUsage,
			stderr: "trial: unknown flag --cuont, did you mean \"--count\"?\n  try: trial go --help\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := try(t, nil, func(context.Context, *Session) error { return tt.err },
				append([]string{"go"}, tt.args...)...)
			if want := (ending{code: tt.code, stderr: tt.stderr}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestProgramWithoutACommand(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *Session) error { t.Error("a command ran"); return nil }

	t.Run("help goes to standard output and is no error", func(t *testing.T) {
		t.Parallel()
		got := try(t, nil, never, "go", "--help")
		if got.code != ExitOK || got.stderr != "" {
			t.Errorf("got %+v", got)
		}
		for _, want := range []string{"--count=1", "$TRIAL_COUNT", "A number"} {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("help lacks %q: %s", want, got.stdout)
			}
		}
	})
	t.Run("nothing at all is a mistake that names the commands", func(t *testing.T) {
		t.Parallel()
		got := try(t, nil, never)
		if got.code != ExitUsage || got.stdout != "" || !strings.Contains(got.stderr, `"go", "version"`) ||
			!strings.Contains(got.stderr, "try: trial --help") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("the version is an object when asked for", func(t *testing.T) {
		t.Parallel()
		got := try(t, nil, never, "version", "-o", "json")
		var b Build
		err := json.Unmarshal([]byte(got.stdout), &b)
		if err != nil || b.Program != "trial" || b.Go == "" || got.code != ExitOK {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestSignals(t *testing.T) {
	t.Parallel()

	t.Run("the first one ends the context, the second one the work in flight", func(t *testing.T) {
		t.Parallel()
		signals := make(chan os.Signal, signalsHeld)
		got := try(t, signals, func(ctx context.Context, s *Session) error {
			signals <- os.Interrupt
			<-ctx.Done()
			if s.Abort.Err() != nil {
				t.Error("the first signal aborted")
			}
			signals <- syscall.SIGTERM
			<-s.Abort.Done()
			return context.Cause(s.Abort)
		}, "go")
		want := ending{code: ExitFailed, stderr: "trial: interrupt: finishing what is under way; once more to abort\n" +
			"trial: stopped by terminated\n"}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("a command that gives its context's error back says which signal it was", func(t *testing.T) {
		t.Parallel()
		signals := make(chan os.Signal, signalsHeld)
		got := try(t, signals, func(ctx context.Context, _ *Session) error {
			signals <- os.Interrupt
			<-ctx.Done()
			return ctx.Err()
		}, "go")
		if got.code != ExitFailed || !strings.Contains(got.stderr, "trial: stopped by interrupt") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a command that ends well in spite of one has ended well", func(t *testing.T) {
		t.Parallel()
		signals := make(chan os.Signal, signalsHeld)
		got := try(t, signals, func(ctx context.Context, _ *Session) error {
			signals <- os.Interrupt
			<-ctx.Done()
			return nil
		}, "go")
		if got.code != ExitOK {
			t.Errorf("got %+v", got)
		}
	})
}
