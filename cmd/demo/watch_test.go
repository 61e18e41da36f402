package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderconsumer/internal/order"
)

func aScene() *scene {
	return &scene{
		levels:    []level{{"goods-1", 0, 100}, {"goods-2", 1, 100}, {"goods-3", 100, 100}, {"goods-4", 120, 100}},
		published: 1204, perSecond: 39.6,
		outcomes: map[string]int64{order.OutcomeDeducted: 1003, order.OutcomeRejected: 41, order.OutcomeReleased: 30,
			order.OutcomeVoided: 3, order.OutcomeDead: 9},
		retried: 4, waiting: 2, consumers: 2,
	}
}

func TestSceneOnATerminal(t *testing.T) {
	t.Parallel()
	want := `published 1204 (40/s)  retried 4  dead 9  waiting 2  consumers 2
goods-1    ..............................      0  sold out
goods-2    #.............................      1
goods-3    ##############################    100
goods-4    ##############################    120
deducted 1003  rejected 41  released 30  voided 3
`
	if diff := cmp.Diff(want, aScene().table()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestSceneElsewhere(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	s := newScreen(&b)
	s.show(aScene())
	s.show(aScene())
	line := "published 1204  deducted 1003  rejected 41  released 30  voided 3  retried 4  dead 9  waiting 2  consumers 2  sold out: goods-1\n"
	if diff := cmp.Diff(line+line, b.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTableIsDrawnOverTheLastOne(t *testing.T) {
	t.Parallel()
	s := &screen{}
	if got := s.over("a\nb\n"); got != "a\nb\n" {
		t.Errorf("first: %q", got)
	}
	if got := s.over("c\n"); got != "\x1b[2A\x1b[Jc\n" {
		t.Errorf("second: %q", got)
	}
	if got := s.over("d\n"); got != "\x1b[1A\x1b[Jd\n" {
		t.Errorf("third: %q", got)
	}
	if got := narrowed("abcdef\nab\n", 5); got != "abcd\nab\n" {
		t.Errorf("narrowed: %q", got)
	}
}
