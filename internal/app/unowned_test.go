package app

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"orderconsumer/internal/settings"
)

// The leader of the group is told that its topics do not exist; by the time
// the members' watchers look, they do. Nothing ever changes for the watchers,
// and nobody was given a partition.
func TestPartitionsThatTheLeaderDidNotSeeFindAReader(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := newShop(t, func(s *settings.Consumer) { s.Kafka.Brokers = cluster.ListenAddrs() })
	s.stocked(map[string]int64{"apple": 100})
	s.sendMessages(s.orders(0, 5, "apple")...)

	var unseen atomic.Bool
	cluster.ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req, ok := r.(*kmsg.MetadataRequest)
		if !ok || req.Version != 6 || len(req.Topics) < 2 || unseen.Swap(true) { // the leader asks for all, watchers for one each
			return nil, nil, false
		}
		res, _ := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, topic := range req.Topics {
			answer := kmsg.NewMetadataResponseTopic()
			answer.Topic, answer.ErrorCode = topic.Topic, kerr.UnknownTopicOrPartition.Code
			res.Topics = append(res.Topics, answer)
		}
		return res, nil, true
	})
	count, reached := settledCounter(5)
	i := s.start(count)
	select {
	case <-reached:
	case <-time.After(testTimeout):
		t.Error("the group is stuck with partitions that nobody reads")
	}
	s.end(i)
	if !unseen.Load() {
		t.Error("the leader saw its topics: nothing was tested")
	}
}
