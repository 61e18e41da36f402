package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/leavegroup"
)

// leaveFor takes a member out of the group that the client has forgotten: when it cannot
// join again it joins as another one, without having left. The coordinator would wait
// for the one of before until its session is over, and everybody who wants to join would
// wait with it. It asks until it is answered, or ctx ends.
func (c *Consumer) leaveFor(ctx context.Context, member string) {
	for {
		err := c.client.leave(ctx, c.cfg.Group, member)
		var answer kafkago.Error
		if err == nil || errors.As(err, &answer) && !answer.Temporary() {
			return // a member that is not known any more is gone, too
		}
		if sleep(ctx, joinRest) != nil {
			return
		}
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
