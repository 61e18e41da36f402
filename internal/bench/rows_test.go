package bench

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func names(rows []Row) []string {
	var list []string
	for _, r := range rows {
		list = append(list, r.Name)
	}
	return list
}

func TestRows(t *testing.T) {
	t.Parallel()
	rows := Rows()

	t.Run("names are unique and what a row needs comes before it", func(t *testing.T) {
		t.Parallel()
		seen := make(map[string]bool)
		for _, r := range rows {
			if seen[r.Name] {
				t.Errorf("%s is there twice", r.Name)
			}
			if r.Base != "" && !seen[r.Base] {
				t.Errorf("%s scales from %s, which does not come before it", r.Name, r.Base)
			}
			if r.Load > 0 && !seen[fastest] {
				t.Errorf("%s is a share of %s, which does not come before it", r.Name, fastest)
			}
			seen[r.Name] = true
		}
	})

	t.Run("every shape has the database alone and the textbook to compare with", func(t *testing.T) {
		t.Parallel()
		for _, r := range rows {
			if r.Way != WayOurs {
				continue
			}
			for _, way := range []Way{WayCeiling, WayTextbook} {
				if !slices.ContainsFunc(rows, func(o Row) bool {
					return o.Way == way && o.Shape.Name == r.Shape.Name && o.Delay == r.Delay
				}) {
					t.Errorf("%s has no %s of its shape", r.Name, way)
				}
			}
		}
	})

	t.Run("the goals are the stated ones", func(t *testing.T) {
		t.Parallel()
		var got []string
		for _, r := range rows {
			for _, g := range r.Goals {
				got = append(got, fmt.Sprintf("%s %s %s", r.Name, g.Figure, g))
			}
		}
		want := []string{
			"ours/1-instance ratio_to_textbook >= 60, aim 80",
			"ours/1-instance ratio_to_ceiling >= 0.8, aim 0.95",
			"ours/1-instance cpu_consumer_to_database <= 0.35",
			"ours/4-instances ratio_to_base >= 0.95",
			"ours/hot-goods ratio_to_ceiling >= 0.9",
			"delay/4-workers ratio_to_base >= 2.5",
			"delay/4-workers-batch-100 ratio_to_base >= 2.5",
			"latency/50-percent p99_ms <= 50",
			"backlog/catch-up peak_memory_mib <= 128",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("goals (-want +got):\n%s", diff)
		}
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"^ours/1-instance$", []string{"ours/1-instance"}},
		{"^(textbook|ceiling)/hot", []string{"ceiling/hot-goods", "textbook/hot-goods"}},
		// A load is a share of a maximum that has to be measured first.
		{"^latency/50", []string{"ours/1-instance", "latency/50-percent"}},
	} {
		rows, err := Choose(Rows(), c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, names(rows)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.pattern, diff)
		}
	}
	for _, pattern := range []string{"nonsuch", "("} {
		if rows, err := Choose(Rows(), pattern); err == nil {
			t.Errorf("%q: got %v, want an error", pattern, names(rows))
		}
	}
}
