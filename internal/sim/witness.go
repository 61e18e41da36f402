package sim

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// witness stands beside the brokers. It notes every commit of offsets with what
// the log held at that instant, so that it can be said later whether everything
// below the offset had an end then.
type witness struct {
	world *world

	mu      sync.Mutex
	commits []commit
	latest  map[place]int64 // offset that was committed last

	gathering  time.Time // when the first member of the generation to come asked to join; zero: nobody has
	generation int32     // that was synced last
}

// place is one partition of a topic.
type place struct {
	topic     string
	partition int
}

// commit is one request to commit, of one partition.
type commit struct {
	place  place
	offset int64
	at     time.Time
	ends   map[place]int64 // of the topics that hold ends of events
}

func newWitness(w *world) *witness { return &witness{world: w, latest: make(map[place]int64)} }

// watch begins.
func (w *witness) watch() {
	w.world.cluster.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if commit, ok := req.(*kmsg.OffsetCommitRequest); ok { // nothing else has this key
			w.see(commit)
		}
		return nil, nil, false // the cluster answers as it would
	})
	w.world.cluster.ControlKey(int16(kmsg.SyncGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if sync, ok := req.(*kmsg.SyncGroupRequest); ok {
			w.synced(sync.Generation)
		}
		return nil, nil, false
	})
	w.world.cluster.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		join, ok := req.(*kmsg.JoinGroupRequest)
		if !ok || w.mayJoin(time.Duration(join.RebalanceTimeoutMillis)*time.Millisecond) {
			return nil, nil, false
		}
		w.world.cluster.KeepControl()
		answer := kmsg.NewPtrJoinGroupResponse()
		answer.Version, answer.ErrorCode = join.Version, kerr.CoordinatorLoadInProgress.Code
		return answer, nil, true
	})
}

// last is the offset that was committed last; 0: none was.
func (w *witness) last(at place) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest[at]
}

// mayJoin is false for who comes when the group should be complete. Brokers wait
// for the members of before for the time that these have, from when the first
// asked to join. kfake begins to wait anew with each that asks: members that are
// gone and others that ask in turn keep it from ever being complete.
func (w *witness) mayJoin(patience time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	waited := now.Sub(w.gathering)
	if w.gathering.IsZero() || waited > 2*patience { // by then kfake has stopped waiting
		w.gathering = now
		return true
	}
	if waited < patience {
		return true
	}
	w.world.reached.mark("group kept from waiting anew")
	return false
}

// synced notes that a generation has come together.
func (w *witness) synced(generation int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if generation != w.generation {
		w.gathering, w.generation = time.Time{}, generation
	}
}

// see is called by the cluster, which answers questions meanwhile.
func (w *witness) see(req *kmsg.OffsetCommitRequest) {
	ends := make(map[place]int64)
	topics := w.world.topics
	for _, topic := range append(topics.Consumed()[1:], topics.Dead, topics.Results) {
		for _, p := range w.world.cluster.PartitionInfos(topic) {
			ends[place{topic, int(p.Partition)}] = p.HighWatermark
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			at := place{topic.Topic, int(p.Partition)}
			if p.Offset < w.latest[at] {
				w.world.reached.mark("offset went back") // allowed: what is read again is known
				w.world.log.Info("an offset goes back", "member", req.MemberID, "generation", req.Generation, "topic", at.topic,
					"partition", at.partition, "from", w.latest[at], "to", p.Offset)
			}
			w.latest[at] = p.Offset
			w.commits = append(w.commits, commit{place: at, offset: p.Offset, at: time.Now(), ends: ends})
		}
	}
}
