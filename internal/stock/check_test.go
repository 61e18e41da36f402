package stock

import (
	"errors"
	"strings"
	"testing"
)

func wantInvalid(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrInvalid) {
		t.Errorf("err = %v, want ErrInvalid", err)
	}
}

func TestRequestCheck(t *testing.T) {
	t.Parallel()
	widest := strings.Repeat("x", MaxIDBytes)
	good := []Request{
		deductOf(widest, Line{widest, 1}),
		deductOf("A", Line{"A", 1}, Line{"A ", 1}, Line{"a", 1}),
		releaseOf("A"),
	}
	for _, req := range good {
		if err := req.Check(); err != nil {
			t.Errorf("Check(%+v) = %v, want nil", req, err)
		}
	}
	bad := map[string]Request{
		"no order id":             deductOf("", Line{"a", 1}),
		"order id too long":       deductOf(widest+"x", Line{"a", 1}),
		"order id of broken text": releaseOf("\xff"),
		"no action":               {Order: "1", Lines: []Line{{"a", 1}}},
		"nothing to deduct":       deductOf("1"),
		"no goods id":             deductOf("1", Line{"", 1}),
		"goods id too long":       deductOf("1", Line{widest + "x", 1}),
		"goods out of order":      deductOf("1", Line{"b", 1}, Line{"a", 1}),
		"goods twice":             deductOf("1", Line{"a", 1}, Line{"a", 1}),
		"num of zero":             deductOf("1", Line{"a", 0}),
		"negative num":            deductOf("1", Line{"a", -1}),
	}
	for name, req := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantInvalid(t, req.Check())
		})
	}
}

func TestAdjustmentCheck(t *testing.T) {
	t.Parallel()
	good := []Adjustment{
		{Ref: "r", Mode: Set, Lines: []Line{{"a", 0}, {"b", MaxAvailable}}},
		{Ref: "r", Mode: Add, Lines: []Line{{"a", 1}}},
	}
	for _, a := range good {
		if err := a.Check(); err != nil {
			t.Errorf("Check(%+v) = %v, want nil", a, err)
		}
	}
	bad := map[string]Adjustment{
		"no reference":     {Mode: Set, Lines: []Line{{"a", 1}}},
		"no mode":          {Ref: "r", Lines: []Line{{"a", 1}}},
		"add of zero":      {Ref: "r", Mode: Add, Lines: []Line{{"a", 0}}},
		"set below zero":   {Ref: "r", Mode: Set, Lines: []Line{{"a", -1}}},
		"past the limit":   {Ref: "r", Mode: Set, Lines: []Line{{"a", MaxAvailable + 1}}},
		"goods twice":      {Ref: "r", Mode: Set, Lines: []Line{{"a", 1}, {"a", 1}}},
		"goods id missing": {Ref: "r", Mode: Set, Lines: []Line{{"", 1}}},
	}
	for name, a := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantInvalid(t, a.Check())
		})
	}
}
