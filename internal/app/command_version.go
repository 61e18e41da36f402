package app

import (
	"context"
	"fmt"
	"runtime/debug"
)

// versionCommand says which build this is.
type versionCommand struct {
	OutputSettings
}

// build is what the linker knows about the program.
type build struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
}

// buildOf reads what the Go tool has written into the binary.
func buildOf(name string) build {
	b := build{Program: name, Version: "unknown"}
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
func (c *versionCommand) Run(_ context.Context, s *session) error {
	b := buildOf(s.name)
	if c.machine() {
		return c.object(s.stdout, b)
	}
	text := b.Program + " " + b.Version
	if b.Revision != "" {
		text += " " + b.Revision
	}
	if b.Modified {
		text += " (modified)"
	}
	_, err := fmt.Fprintln(s.stdout, text, b.Go)
	return err
}
