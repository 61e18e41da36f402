package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// simulator is a program that plays as cmd/sim does: Sum(1, 2) decides what becomes
// of the worlds.
const simulator = `package main

import (
	"fmt"
	"os"

	"orderconsumer/sum"
)

func main() {
	switch sum.Sum(1, 2) {
	case 3:
		fmt.Println("{\"seeds\":9,\"failed\":[]}")
	case 2:
		fmt.Println("{\"seeds\":8,\"failed\":[{\"seed\":8,\"findings\":[\"later\"]},{\"seed\":7,\"findings\":[\"sooner\",\"more\"]}]}")
		os.Exit(1)
	case 1:
		panic("it broke")
	default:
		fmt.Println("{\"seeds\":9,\"failed\":[]}")
		fmt.Fprintln(os.Stderr, "the run is void")
		os.Exit(1)
	}
}
`

func TestSimulateSaysWhichSeedCaughtABug(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, sum, err string
		want           Simulated
	}{
		{"no world goes wrong", "b + a", "", Simulated{Bug: "it", Played: 9}},
		{"two worlds go wrong", "a * b", "", Simulated{Bug: "it", Caught: true, Seed: 7, Played: 8, Finding: "sooner"}},
		{"the program ends", "b - a", "", Simulated{Bug: "it", Caught: true, Finding: "panic: it broke"}},
		{"the run proves nothing", "0", "the run is void", Simulated{Bug: "it", Played: 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, bugs := project(t, "-\treturn a + b\n+\treturn "+tt.sum+"\n")
			folder := filepath.Join(root, "cmd", "sim")
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(simulator), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Simulate(t.Context(), root, bugs[0], 9)
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Simulated{}, "Took")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
