package kafka

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestTheTimeForAnAnswerBeginsOnce: more questions give a silent broker no more time,
// and one that has answered has all of it again.
func TestTheTimeForAnAnswerBeginsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		conn := &firstDeadline{Conn: ours}
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		const patience, later = 6 * time.Second, 5 * time.Second
		ask := func() {
			t.Helper()
			_, err := conn.Write([]byte("?"))
			if err = errors.Join(err, conn.SetReadDeadline(time.Now().Add(patience))); err != nil {
				t.Fatal(err)
			}
		}
		read := func() (took time.Duration, err error) {
			began := time.Now()
			_, err = conn.Read(make([]byte, 1))
			return time.Since(began), err
		}
		for range 2 {
			ask()
			go func() { _, _ = theirs.Write([]byte("!")) }()
			if _, err := read(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * patience) // of which nothing is left for the next question
		}
		ask()
		time.Sleep(later)
		ask()
		if took, err := read(); !errors.Is(err, os.ErrDeadlineExceeded) || took != patience-later {
			t.Errorf("more questions have moved the end of the wait to %s: %v", later+took, err)
		}
	})
}

// TestTheTimeOfWhoIsStillWaitingIsKept: one of two questions is answered while the other
// is waited for, and what is asked then gives that no more time.
func TestTheTimeOfWhoIsStillWaitingIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		conn := &firstDeadline{Conn: ours}
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		const patience = 6 * time.Second
		ask := func() error {
			_, err := conn.Write([]byte("?"))
			return err
		}
		more := func() error { return conn.SetReadDeadline(time.Now().Add(patience)) }
		must(t, errors.Join(ask(), more(), ask()))
		go func() { _, _ = theirs.Write([]byte("!")) }()
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		must(t, more()) // of the second question's own wait
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		}()
		for range 3 {
			time.Sleep(patience / 4)
			must(t, errors.Join(more(), ask())) // as the client does
		}
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != patience {
			t.Errorf("it was over after %s: %v", time.Since(began), err)
		}
	})
}

// TestACoordinatorThatHangsIsLeft when the first question to it has had its time.
func TestACoordinatorThatHangsIsLeft(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	hangs := make(chan time.Time, 1)
	g.cluster.ControlKey(int16(kmsg.Heartbeat), func(kmsg.Request) (kmsg.Response, error, bool) {
		tell(hangs, time.Now())
		g.cluster.SleepControl(func() { <-t.Context().Done() }) // and so does all that is asked over the same connection
		return nil, nil, true
	})
	m := g.join()
	wait(t, "an assignment", m.assigned)
	began := wait(t, "a heartbeat", hangs)
	wait(t, "the next assignment", m.assigned)
	if took, most := time.Since(began), coordinatorTimeout+watchPartitions/2; took > most {
		t.Errorf("the group was joined again after %s, want no more than %s", took, most)
	}
}
