package cli

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatLastsIsToldEveryTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &Session{Name: "trial", Stderr: NewTalker(&out)}
		done := s.Waiting("waiting for %s", "Redis")
		time.Sleep(LineEvery - time.Millisecond)
		done() // soon over, so that nothing is said of it
		done = s.Waiting("waiting for %s", "Kafka")
		time.Sleep(2*LineEvery + time.Millisecond)
		done()
		done() // twice does no harm
		time.Sleep(time.Minute)
		if want := "waiting for Kafka, 2s so far\nwaiting for Kafka, 4s so far\n"; out.String() != want {
			t.Errorf("said %q, want %q", out.String(), want)
		}
	})
}

func TestAPaceIsNotDueAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, told := NewPace(), 0
		for range 100 {
			if p.Due() {
				told++
			}
			time.Sleep(LineEvery / 10)
		}
		if told != 9 {
			t.Errorf("told %d times in 20 s, want 9: never at once, then every two seconds", told)
		}
	})
}
