package sim

import (
	"sync"
	"time"

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
			}
			w.latest[at] = p.Offset
			w.commits = append(w.commits, commit{place: at, offset: p.Offset, at: time.Now(), ends: ends})
		}
	}
}
