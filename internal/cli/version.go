package cli

import (
	"context"
	"fmt"
	"runtime/debug"
)

// VersionCommand says which build this is.
type VersionCommand struct {
	OutputSettings
}

// Build is what the linker knows about the program.
type Build struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
}

// BuildOf reads what the Go tool has written into the binary.
func BuildOf(name string) Build {
	b := Build{Program: name, Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version, b.Go = info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// Run implements a command.
func (c *VersionCommand) Run(_ context.Context, s *Session) error {
	b := BuildOf(s.Name)
	if c.Machine() {
		return c.Object(s.Stdout, b)
	}
	text := b.Program + " " + b.Version
	if b.Revision != "" {
		text += " " + b.Revision
	}
	if b.Modified {
		text += " (modified)"
	}
	_, err := fmt.Fprintln(s.Stdout, text, b.Go)
	return err
}
