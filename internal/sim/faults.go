package sim

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of faults.
const (
	faultBrokerDown       = "broker_down"        // connections reset, new ones refused
	faultBrokerStalled    = "broker_stalled"     // requests do not get through
	faultLeadersMove      = "leaders_move"       // to other brokers
	faultCoordinatorMoves = "coordinator_moves"  // to another broker
	faultCommitRefused    = "commit_refused"     // a commit of offsets, before it is applied
	faultCommitTimedOut   = "commit_timed_out"   // after it is applied
	faultCommitLate       = "commit_late"        // arrives late
	faultProduceRefused   = "produce_refused"    // before the append
	faultProduceTimedOut  = "produce_timed_out"  // after the append
	faultFetchRefused     = "fetch_refused"      // reads, and questions for offsets
	faultOffsetsRefused   = "offsets_refused"    // nobody is told where the group stands
	faultJoinRefused      = "join_refused"       // joining and syncing
	faultHeartbeatRefused = "heartbeat_refused"  // a generation ends out of the blue
	faultAnswersCut       = "answers_cut"        // the request is with the server, the answer does not come
	faultParted           = "instance_parted"    // from brokers and Redis, not from the database
	faultCrash            = "crash"              // an instance is gone, at any moment
	faultCrashAt          = "crash_at"           // at a point of the path
	faultStop             = "stop"               // told to go, and begun anew
	faultAbort            = "abort"              // told to go twice
	faultJoin             = "join"               // one more instance for a while
	faultClock            = "clock_jumps"        // the clock of an instance
	faultRedisDown        = "redis_down"         // and empty when it is back
	faultRedisFlushed     = "redis_flushed"      // under the holders' hands
	faultRedisStalled     = "redis_stalled"      // requests do not get through
	faultRedisLoading     = "redis_loading"      // answers with an error
	faultLockTaken        = "lock_taken_away"    // single keys
	faultDatabaseDown     = "database_down"      // nobody answers
	faultDatabaseReadOnly = "database_read_only" // it refuses to write
	faultDatabaseBusy     = "database_busy"      // deadlocks and lock waits
	faultDatabaseSlow     = "database_slow"      // up to beyond the transaction's timeout
	faultCommitLost       = "commit_lost"        // COMMIT was not carried out, and nobody is told
	faultAnswerLost       = "answer_lost"        // it was, and nobody is told
	faultPanic            = "panic"              // in the middle of a batch
	faultUnknownError     = "unknown_error"      // one that nobody has classified
)

// faultKinds are all of them.
var faultKinds = []string{
	faultBrokerDown, faultBrokerStalled, faultLeadersMove, faultCoordinatorMoves, faultCommitRefused,
	faultCommitTimedOut, faultCommitLate, faultProduceRefused, faultProduceTimedOut, faultFetchRefused,
	faultOffsetsRefused, faultJoinRefused, faultHeartbeatRefused, faultAnswersCut, faultParted, faultCrash,
	faultCrashAt, faultStop, faultAbort, faultJoin, faultClock, faultRedisDown, faultRedisFlushed,
	faultRedisStalled, faultRedisLoading, faultLockTaken, faultDatabaseDown, faultDatabaseReadOnly,
	faultDatabaseBusy, faultDatabaseSlow, faultCommitLost, faultAnswerLost, faultPanic, faultUnknownError,
}

// requestFaults are the answers that a broker gives instead of the right one.
var requestFaults = map[string]struct {
	keys []kmsg.Key
	errs []*kerr.Error
}{
	faultCommitRefused: {[]kmsg.Key{kmsg.OffsetCommit},
		[]*kerr.Error{kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError}},
	faultCommitTimedOut:  {[]kmsg.Key{kmsg.OffsetCommit}, []*kerr.Error{kerr.RequestTimedOut}},
	faultProduceRefused:  {[]kmsg.Key{kmsg.Produce}, []*kerr.Error{kerr.NotEnoughReplicas, kerr.NotLeaderForPartition, kerr.UnknownServerError}},
	faultProduceTimedOut: {[]kmsg.Key{kmsg.Produce}, []*kerr.Error{kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend}},
	faultFetchRefused:    {[]kmsg.Key{kmsg.Fetch, kmsg.ListOffsets}, []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownServerError, kerr.LeaderNotAvailable}},
	faultOffsetsRefused:  {[]kmsg.Key{kmsg.OffsetFetch}, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator}},
	faultJoinRefused:     {[]kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup}, []*kerr.Error{kerr.CoordinatorNotAvailable, kerr.RebalanceInProgress, kerr.UnknownMemberID}},
	faultHeartbeatRefused: {[]kmsg.Key{kmsg.Heartbeat},
		[]*kerr.Error{kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.NotCoordinator}},
}

// begin lets a fault begin, and returns what ends it.
func (w *world) begin(f fault) (end func()) {
	if answers, ok := requestFaults[f.kind]; ok {
		err := answers.errs[f.n%len(answers.errs)]
		return w.answer(f, answers.keys, err)
	}
	if end, ok := w.beginDatabase(f); ok {
		return end
	}
	if end, ok := w.beginRedis(f); ok {
		return end
	}
	if end, ok := w.beginInstance(f); ok {
		return end
	}
	broker := w.brokers[f.target%len(w.brokers)]
	nothing := func() {}
	switch f.kind {
	case faultBrokerDown:
		w.reached.mark("fault " + f.kind)
		return w.network.part(broker)
	case faultBrokerStalled:
		w.reached.mark("fault " + f.kind)
		return w.network.hold(broker)
	case faultLeadersMove:
		w.reached.mark("fault " + f.kind)
		w.cluster.ShufflePartitionLeaders()
		return w.cluster.ShufflePartitionLeaders
	case faultCoordinatorMoves:
		w.reached.mark("fault " + f.kind)
		w.cluster.RehashCoordinators()
		return nothing
	case faultCommitLate:
		w.network.setLate(f.lasts)
		return func() { w.network.setLate(0) }
	case faultAnswersCut:
		w.network.setCuts(f.chance)
		return func() { w.network.setCuts(0) }
	default:
		panic("no such fault: " + f.kind)
	}
}

// answer has brokers answer requests with err.
func (w *world) answer(f fault, keys []kmsg.Key, err *kerr.Error) (end func()) {
	dice := newChance(w.plan.seed, uint64(f.at))
	refusal := kfake.Fault{
		Keys: keys, Err: err, Count: -1,
		When: func(kmsg.Request) bool { return dice.hits(max(f.chance, 0.2)) },
	}
	refusals := []kfake.Fault{refusal}
	if f.kind == faultOffsetsRefused {
		// Of the version that the client speaks the answer has no place for an error of
		// the whole: kfake's then says that nothing was ever committed, and everything
		// is read again. Brokers refuse each partition.
		refusals = nil
		for _, refusal.Topic = range w.topics.Consumed() {
			refusals = append(refusals, refusal)
		}
	}
	handle := w.cluster.Fault(refusals...)
	return func() {
		if handle.Hits() > 0 {
			w.reached.mark("fault " + f.kind)
		}
		handle.Remove()
	}
}

func (w *world) beginDatabase(f fault) (end func(), ok bool) {
	set := func(change func(*weather, float64)) func() {
		w.database.change(func(d *weather) { change(d, f.chance) })
		return func() { w.database.change(func(d *weather) { change(d, 0) }) }
	}
	count := func(change func(*weather, int)) func() {
		w.database.change(func(d *weather) { change(d, 1) })
		return func() { w.database.change(func(d *weather) { change(d, -1) }) }
	}
	switch f.kind {
	case faultDatabaseDown:
		return count(func(d *weather, n int) { d.down += n }), true
	case faultDatabaseReadOnly:
		return count(func(d *weather, n int) { d.readOnly += n }), true
	case faultDatabaseBusy:
		return set(func(d *weather, c float64) { d.busy = c }), true
	case faultDatabaseSlow:
		const longest = 25 * time.Second // beyond the transaction's timeout
		return set(func(d *weather, c float64) { d.slow, d.slowMost = c, min(6*f.lasts, longest) }), true
	case faultCommitLost:
		return set(func(d *weather, c float64) { d.commitLost = c }), true
	case faultAnswerLost:
		return set(func(d *weather, c float64) { d.answerLost = c }), true
	case faultPanic:
		return set(func(d *weather, c float64) { d.panics = c }), true
	case faultUnknownError:
		return set(func(d *weather, c float64) { d.unknown = c }), true
	default:
		return nil, false
	}
}

func (w *world) beginRedis(f fault) (end func(), ok bool) {
	mark := func() { w.reached.mark("fault " + f.kind) }
	switch f.kind {
	case faultRedisDown:
		mark()
		end = w.network.part(redisEnd)
		w.holders.empty()
		return end, true
	case faultRedisFlushed:
		mark()
		w.holders.empty()
		return w.holders.empty, true
	case faultRedisStalled:
		mark()
		return w.network.hold(redisEnd), true
	case faultRedisLoading:
		mark()
		w.redis.SetError("LOADING Redis is loading the dataset in memory")
		return func() { w.redis.SetError("") }, true
	case faultLockTaken:
		// Of quick transactions nobody would notice it, and of those that last no
		// longer than an expiry nobody would see that their holder was not told.
		w.database.change(func(d *weather) { d.slow, d.slowMost = slowWhenTaken, 4*w.settings.Lock.Expiry })
		end := w.takeLocks(f)
		return func() {
			end()
			w.database.change(func(d *weather) { d.slow = 0 })
		}, true
	default:
		return nil, false
	}
}

// slowWhenTaken is the share of slow transactions while locks are taken away.
const slowWhenTaken = 0.5

// takeLocks deletes keys that are held, every now and then.
func (w *world) takeLocks(f fault) (end func()) {
	const every = 20 * time.Millisecond
	over := make(chan struct{})
	w.stragglers.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			for _, key := range w.redis.Keys() {
				if w.database.dice.hits(f.chance) && w.holders.remove(key) {
					w.reached.mark("fault " + faultLockTaken)
				}
			}
		}
	})
	return func() { close(over) }
}

func (w *world) beginInstance(f fault) (end func(), ok bool) {
	slot := w.slots[f.target%len(w.slots)]
	switch f.kind {
	case faultParted:
		w.reached.mark("fault " + f.kind)
		return w.network.part(slot.now().name), true
	case faultCrash:
		w.reached.mark("fault " + f.kind)
		slot.now().kill()
		return slot.restart, true
	case faultCrashAt:
		slot.crashAt(f.point, f.n)
		return func() {
			slot.crashAt("", 0) // it may never have come to its point
			slot.restart()
		}, true
	case faultStop:
		w.reached.mark("fault " + f.kind)
		slot.now().stop()
		return slot.restart, true
	case faultAbort:
		w.reached.mark("fault " + f.kind)
		slot.now().abort()
		return slot.restart, true
	case faultJoin:
		w.reached.mark("fault " + f.kind)
		guest := w.newSlot()
		return func() { guest.now().stop() }, true
	case faultClock:
		w.reached.mark("fault " + f.kind)
		jump := time.Hour
		if f.n%2 == 0 {
			jump = -jump
		}
		slot.skew.Store(int64(jump))
		return func() { slot.skew.Store(0) }, true
	default:
		return nil, false
	}
}
