package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestWhoCannotJoinIsNotWaitedFor: a member that could neither join again nor leave joins
// as another one, and the group does not wait for the one it was until its session is over.
func TestWhoCannotJoinIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	g := newFakeGroup(t)
	m := g.join()
	wait(t, "an assignment", m.assigned)
	refuse := func(key kmsg.Key, answer func(kmsg.Request) kmsg.Response) chan time.Time {
		refused := make(chan time.Time, 1)
		g.cluster.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
			tell(refused, time.Now())
			return answer(r), nil, true // once
		})
		return refused
	}
	refuse(kmsg.JoinGroup, func(r kmsg.Request) kmsg.Response {
		res, _ := r.ResponseKind().(*kmsg.JoinGroupResponse)
		res.ErrorCode = kerr.NotCoordinator.Code
		return res
	})
	refuse(kmsg.LeaveGroup, func(r kmsg.Request) kmsg.Response {
		res, _ := r.ResponseKind().(*kmsg.LeaveGroupResponse)
		res.ErrorCode = kerr.NotCoordinator.Code
		return res
	})
	began := wait(t, "a heartbeat", refuse(kmsg.Heartbeat, func(r kmsg.Request) kmsg.Response {
		res, _ := r.ResponseKind().(*kmsg.HeartbeatResponse)
		res.ErrorCode = kerr.NotCoordinator.Code
		return res
	}))
	wait(t, "the next assignment", m.assigned)
	const most = 4 * time.Second // less than a session
	if took := time.Since(began); took > most {
		t.Errorf("the group came together after %s, want no more than %s", took, most)
	}
}
