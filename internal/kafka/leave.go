package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
)

// leaveFor takes a member out of the group that the client has forgotten: when it cannot
// join again it joins as another one, without having left. The coordinator would wait
// for the one of before until its session is over, and everybody who wants to join would
// wait with it. It asks until the coordinator has answered, the session must be over
// anyway, or ctx ends. A member that the client never told of is not known here.
func (c *Consumer) leaveFor(ctx context.Context, member string) {
	asking, cancel := context.WithTimeout(ctx, c.cfg.SessionTimeout+c.cfg.RebalanceTimeout)
	defer cancel()
	for {
		err := c.client.leave(asking, c.cfg.Group, member)
		if err == nil || errors.Is(err, kafkago.UnknownMemberId) {
			return
		}
		if Denied(err) || sleep(asking, joinRest) != nil {
			if ctx.Err() == nil {
				c.log.WarnContext(ctx, "the group waits for a member that is gone until its session is over", "error", err)
			}
			return
		}
	}
}

// leaver is told who the client is now (empty: nobody) and takes whom it was before out of
// the group, beside everything else. stop ends that.
func (c *Consumer) leaver(ctx context.Context) (now func(member string), stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var leaving sync.WaitGroup
	known := ""
	now = func(member string) {
		if former := known; former != "" && former != member {
			leaving.Go(func() { c.leaveFor(ctx, former) })
		}
		known = member
	}
	return now, func() {
		cancel()
		leaving.Wait()
	}
}

// leaveVersion is the only version of the request that the client has right, and what its
// own groups leave with. In the others it takes the time of a throttled answer for the error, and
// from the fourth on it leaves the list of who leaves empty.
const leaveVersion = 0

// leave takes a member out of the group.
func (c *Client) leave(ctx context.Context, group, member string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := c.admin.FindCoordinator(ctx, &kafkago.FindCoordinatorRequest{Key: group, KeyType: kafkago.CoordinatorKeyTypeConsumer})
	if err == nil {
		err = found.Error
	}
	if err != nil {
		return fmt.Errorf("ask for the coordinator of group %s: %w", group, err)
	}
	at := net.JoinHostPort(found.Coordinator.Host, strconv.Itoa(found.Coordinator.Port))
	conn, err := c.dialer.DialFunc(ctx, "tcp", at)
	if err != nil {
		return fmt.Errorf("leave group %s as %s: %w", group, member, err)
	}
	defer conn.Close() //nolint:errcheck // nothing is under way
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	speaking := protocol.NewConn(conn, c.cfg.ClientID)
	speaking.SetVersions(map[protocol.ApiKey]int16{protocol.LeaveGroup: leaveVersion})
	answer, err := speaking.RoundTrip(&leavegroup.Request{GroupID: group, MemberID: member})
	if res, ok := answer.(*leavegroup.Response); err == nil && ok && res.ErrorCode != 0 {
		err = kafkago.Error(res.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("leave group %s as %s at %s: %w", group, member, at, err)
	}
	return nil
}
