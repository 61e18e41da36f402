package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// partedError: the log is the one that was read up to an offset only. A leader was elected that
// did not have the newest messages, a broker has lost what it had not flushed, or the topic was made anew.
type partedError struct{ end int64 }

func (e *partedError) Error() string {
	return fmt.Sprintf("the log is the one that was read up to offset %d only", e.end)
}

// partitionID is a partition of a topic.
type partitionID struct {
	topic     string
	partition int
}

// read is how far a partition has been read, and the epoch in which the newest of it was appended.
type read struct {
	next  int64
	epoch int32
}

// unread is a partition of which nothing has been read.
var unread = read{epoch: noEpoch}

// remember keeps for the next generation what was read. A broker that dies ends the generation of those
// it coordinates, and just then it may lose the end of a log, which is as long again when it is read again.
func (a *assignment) remember() {
	a.consumer.read = make(map[partitionID]read, len(a.partitions))
	for _, p := range a.partitions {
		begun := p.mark.committable() != NoCommit && a.committed[p] != NoCommit // anew, after a loss that was accepted
		if p.read != unread && (p.parted == "" || begun) {
			a.consumer.read[partitionID{p.topic, p.id}] = p.read
		}
	}
}

// partedNote begins what is committed beside the offset of a partition whose log has parted from
// what was read of it.
const partedNote = "parted: "

// part ends the generation, or the consumer if data loss is not accepted. Nobody may go on at next: shops publish
// on from where the log was cut, and once it has come to next again nothing shows that the orders before it have
// not been read. So the partition's offset is committed no more, but a note that the log has parted (commitParted).
func (p *partition) part(ctx context.Context, next int64, parted *partedError) error {
	p.mark.end()
	p.parted = fmt.Sprintf("%v, and %d was next", parted, next)
	if p.consumer.cfg.AcceptDataLoss {
		p.log.WarnContext(ctx, "joining again, to begin the log anew", "reason", p.parted)
		return errParted
	}
	return fmt.Errorf("%w: %s/%d: %s", ErrDataLoss, p.topic, p.id, p.parted)
}

// errParted ends a generation in which a log has parted from what was read of it. The next one
// begins it with a new watermark, from its start.
var errParted = errors.New("the log is not the one that was read")

// commitParted commits the notes of partitions whose logs have parted in this generation, and offset 0
// with them: the member that has the partition next, in this process or another one, refuses it or begins
// it anew. It is the last commit of the generation: one that is under way while the log is found to
// have parted would come after the note and take it away. It reports whether the group knows all there is to know.
func (a *assignment) commitParted(ctx context.Context) (told bool) {
	commits := make(map[string][]kafkago.OffsetCommit)
	for _, p := range a.partitions {
		// One that was begun anew has no note any more, once that is committed.
		if p.parted != "" && (p.mark.committable() == NoCommit || a.committed[p] == NoCommit) {
			a.consumer.parted[partitionID{p.topic, p.id}] = p.parted
			commits[p.topic] = append(commits[p.topic], kafkago.OffsetCommit{Partition: p.id, Offset: 0, Metadata: partedNote + p.parted})
		}
	}
	if len(commits) == 0 {
		return true
	}
	c := a.consumer
	ctx, cancel := context.WithTimeout(ctx, min(coordinatorTimeout, c.cfg.SessionTimeout))
	defer cancel()
	err := again(ctx, func() error {
		return c.client.commitOffsets(ctx, c.cfg.Group, int(a.generation.ID), a.generation.MemberID, commits)
	})
	if err != nil {
		c.observer.CommitFailed()
		c.log.Error("logs are not the ones that were read, and the group could not be told: whoever reads on may leave orders out",
			"group", c.cfg.Group, "partitions", commits, "error", err, "next", "this instance goes on trying; start no others until it has ended")
		return false // this process remembers, see partedIn
	}
	for topic, list := range commits {
		for _, commit := range list {
			delete(c.parted, partitionID{topic, commit.Partition})
		}
	}
	return true
}

// partedIn are the partitions of a generation whose logs are known not to be the ones that were
// read, and why. Nothing is read before the group has said so, or ctx ends.
func (c *Consumer) partedIn(ctx context.Context, g *kafkago.Generation) map[partitionID]string {
	partitions := assigned(g)
	parted := make(map[partitionID]string)
	if len(partitions) == 0 {
		return parted
	}
	var said time.Time
	for {
		committed, err := c.client.committed(ctx, c.cfg.Group, partitions)
		if err == nil {
			for topic, ids := range partitions {
				for _, id := range ids {
					at := partitionID{topic, id}
					if why := cmp.Or(committed[topic][id].parted, c.parted[at]); why != "" {
						parted[at] = why
					}
					delete(c.parted, at) // its end says what it does not come to, once more
				}
			}
			return parted
		}
		if ctx.Err() == nil && time.Since(said) >= failedEvery {
			c.log.WarnContext(ctx, "what the group has committed is not told, asking again", "group", c.cfg.Group, "error", err)
			said = time.Now()
		}
		if sleep(ctx, againRest) != nil {
			return parted // nothing is going to be read
		}
	}
}

// partedIn is what a commit's metadata says about the log, if it is a note of ours.
func partedIn(metadata string) string {
	why, _ := strings.CutPrefix(metadata, partedNote)
	if why == metadata {
		return ""
	}
	return why
}
