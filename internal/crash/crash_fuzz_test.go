package crash_test

import (
	"errors"
	"testing"

	"orderconsumer/internal/crash"
)

// FuzzParse holds that a plan is read as it is written, or refused as none.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "in_tx:1", "after_commit:3:stop", "in_tx:0", "in_tx", "::", "in_tx:1:laugh", "in_tx:+1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := crash.Parse(text)
		if err != nil {
			if !errors.Is(err, crash.ErrPlan) {
				t.Errorf("%q is refused with %v", text, err)
			}
			return
		}
		if back, err := crash.Parse(plan.String()); err != nil || back != plan {
			t.Errorf("%q is %+v, and that is %+v, %v", text, plan, back, err)
		}
	})
}
