package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"orderconsumer/internal/cli"
	"orderconsumer/internal/mutants"
)

// load reads the bugs, and keeps those that are named.
func load(names []string) (where string, all, chosen []mutants.Bug, err error) {
	where, err = os.Getwd() // where scripts/mutants starts the program
	if err == nil {
		all, err = mutants.Bugs(where)
	}
	if err != nil {
		return "", nil, nil, err
	}
	chosen, err = mutants.Choose(all, names)
	if err != nil {
		return "", nil, nil, &cli.Failure{Code: cli.ExitUsage, Err: err, Try: "scripts/mutants list"}
	}
	return where, all, chosen, nil
}

// listCommand shows the bugs.
type listCommand struct {
	Output string `name:"output" short:"o" default:"text" enum:"text,json" help:"How they are written."`
}

// Run implements a command.
func (c *listCommand) Run(_ context.Context, s *cli.Session) error {
	where, bugs, _, err := load(nil)
	if err != nil {
		return err
	}
	newest, err := mutants.Results(where)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		list := make([]mutants.Result, 0, len(bugs))
		for _, bug := range bugs {
			r := newest[bug.Name]
			r.Bug, r.Does, r.User = bug.Name, bug.Does, bug.User
			list = append(list, r)
		}
		return json.NewEncoder(s.Stdout).Encode(list)
	}
	table := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "#\tBUG\tCAUGHT BY\tWHAT IT DOES")
	for _, bug := range bugs {
		caught := newest[bug.Name].Layer
		if caught == "" {
			caught = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", bug.Number, bug.Name, caught, bug.Does)
	}
	return table.Flush()
}

// checkCommand compiles the bugs.
type checkCommand struct {
	Bugs []string `arg:"" optional:"" help:"Numbers or names."`
}

// Run implements a command.
func (c *checkCommand) Run(ctx context.Context, s *cli.Session) error {
	where, _, bugs, err := load(c.Bugs)
	if err != nil {
		return err
	}
	s.Say("compiling the source with %d bugs", len(bugs))
	if err := mutants.Check(ctx, where, bugs); err != nil {
		return err
	}
	fmt.Fprintf(s.Stdout, "%d bugs apply and compile\n", len(bugs))
	return nil
}

// huntCommand hunts bugs.
type huntCommand struct {
	Bugs   []string `arg:"" optional:"" help:"Numbers or names; all of them if none is named."`
	Quick  bool     `help:"Leave out consumers and real servers, which take minutes."`
	Output string   `name:"output" short:"o" default:"text" enum:"text,json,jsonl" help:"How results are written."`
}

// Run implements a command.
func (c *huntCommand) Run(ctx context.Context, s *cli.Session) error {
	where, all, bugs, err := load(c.Bugs)
	if err != nil {
		return err
	}
	hunter := mutants.Hunter{Root: where, Quick: c.Quick, Say: s.Say}
	encoder := json.NewEncoder(s.Stdout)
	results, escaped := make([]mutants.Result, 0, len(bugs)), 0
	var failed []error // hunts that could not be held do not keep the others from theirs
	for i, bug := range bugs {
		s.Say("%d of %d: %s", i+1, len(bugs), bug.Name)
		r, err := hunter.Hunt(ctx, bug)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if err := mutants.Note(where, all, r); err != nil {
			return err
		}
		if !r.Caught() {
			escaped++
		}
		results = append(results, r)
		switch c.Output {
		case "jsonl":
			err = encoder.Encode(r)
		case "text":
			_, err = fmt.Fprintln(s.Stdout, line(r))
		}
		if err != nil {
			return err
		}
	}
	if c.Output == "json" {
		if err := encoder.Encode(results); err != nil {
			return err
		}
	}
	if escaped > 0 {
		failed = append(failed, fmt.Errorf("%d of %d bugs were caught by no test", escaped, len(bugs)))
	}
	return errors.Join(failed...)
}

// line is a result in one line.
func line(r mutants.Result) string {
	if !r.Caught() {
		return fmt.Sprintf("ESCAPED  %-30s in %.0f s: %s", r.Bug, r.Took, r.User)
	}
	return fmt.Sprintf("caught   %-30s in %.0f s, %s: %s", r.Bug, r.Took, r.Layer, r.Test)
}

// playCommand plays worlds with bugs in them.
type playCommand struct {
	Bugs   []string `arg:"" optional:"" help:"Numbers or names; all of them if none is named."`
	Most   int      `default:"1000" help:"Seeds to play at the most, from 1."`
	Output string   `name:"output" short:"o" default:"text" enum:"text,jsonl" help:"How results are written."`
}

// Run implements a command.
func (c *playCommand) Run(ctx context.Context, s *cli.Session) error {
	where, _, bugs, err := load(c.Bugs)
	if err != nil {
		return err
	}
	for i, bug := range bugs {
		s.Say("%d of %d: %s", i+1, len(bugs), bug.Name)
		r, err := mutants.Simulate(ctx, where, bug, c.Most)
		if err != nil {
			return err
		}
		if c.Output == "jsonl" {
			err = json.NewEncoder(s.Stdout).Encode(r)
		} else {
			_, err = fmt.Fprintln(s.Stdout, played(r))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// played is a result in one line.
func played(r mutants.Simulated) string {
	switch {
	case !r.Caught:
		return fmt.Sprintf("passed   %-30s %d seeds in %.0f s", r.Bug, r.Played, r.Took)
	case r.Seed == 0:
		return fmt.Sprintf("caught   %-30s in %.0f s: %s", r.Bug, r.Took, r.Finding)
	default:
		return fmt.Sprintf("caught   %-30s by seed %d in %.0f s: %s", r.Bug, r.Seed, r.Took, r.Finding)
	}
}

// pageCommand writes the page.
type pageCommand struct{}

// Run implements a command.
func (*pageCommand) Run(context.Context, *cli.Session) error {
	where, bugs, _, err := load(nil)
	if err != nil {
		return err
	}
	newest, err := mutants.Results(where)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := mutants.Page(&page, bugs, newest); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(where, "docs", "mutants.md"), page.Bytes(), 0o644)
}
