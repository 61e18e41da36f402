package settings

import "testing"

// TestFilesAreLeftToOthers: where they are few, Redis leaves some.
func TestFilesAreLeftToOthers(t *testing.T) {
	t.Parallel()
	s, err := DefaultConsumer()
	if err != nil {
		t.Fatal(err)
	}
	if wanted := s.FilesWanted(); wanted <= filesAside || wanted > filesAside+60 {
		t.Errorf("%d are wanted", wanted)
	}
	wanted := uint64(s.FilesWanted()) //nolint:gosec // it is small
	for limit, want := range map[uint64]int{0: redisConnsFew, wanted - 1: redisConnsFew, wanted: 0, 1 << 63: 0} {
		if got := s.RedisPool(limit, true); got != want {
			t.Errorf("of %d files %d, want %d", limit, got, want)
		}
	}
	if got := s.RedisPool(0, false); got != 0 {
		t.Errorf("of an unknown number %d", got)
	}
	s.Redis.URLs = append(s.Redis.URLs, "redis://b", "redis://c")
	all := s.FilesWanted()
	s.Lock.Mode, s.Cache.Mode = LockOff, CacheOff
	if none := s.FilesWanted(); all-none != 4*redisConns+3 {
		t.Errorf("%d with three Redis for the lock and one for the cache, %d with none", all, none)
	}
}
