package app

import "testing"

// TestFilesAreSharedOut: partitions get what the rest leaves, and never nothing; where that is
// not all of them, Redis leaves some, too.
func TestFilesAreSharedOut(t *testing.T) {
	t.Parallel()
	s, err := DefaultConsumerSettings()
	if err != nil {
		t.Fatal(err)
	}
	partitions := s.Topics.Partitions * (1 + len(s.Group.RetryAfter))
	wanted := uint64(s.filesWanted()) //nolint:gosec // it is small
	for limit, want := range map[uint64]files{
		0: {1, redisConnsFew}, 12: {1, redisConnsFew}, 64: {22, redisConnsFew},
		wanted - 1: {partitions + 15, redisConnsFew}, wanted: {partitions, 0}, wanted + 2: {partitions + 2, 0}, 1 << 63: {},
	} {
		if got := s.shareFiles(limit, true); got != want {
			t.Errorf("of %d files %+v, want %+v", limit, got, want)
		}
	}
	if got := s.shareFiles(0, false); got != (files{}) {
		t.Errorf("of an unknown number %+v", got)
	}
	s.Redis.URLs = append(s.Redis.URLs, "redis://b", "redis://c")
	one := s.shareFiles(1000, true).partitions
	s.Lock.Mode, s.Cache.Mode = lockOff, cacheOff
	if none := s.shareFiles(1000, true).partitions; none-one != 4*redisConns+3 {
		t.Errorf("%d partitions with three Redis for the lock and one for the cache, %d with none", one, none)
	}
}
