package lock

import (
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/go-redsync/redsync/v4"
	"github.com/redis/go-redis/v9"
)

func TestSetPoolRefusesWhatASetCannotDo(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { client.Close() })
	cfg, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(client, cfg)
	t.Cleanup(n.close)
	keys := makeKeys(cfg.Prefix, []string{"1", "2"})
	// SetNXOnExtend takes a lock again after it was lost, and after someone else
	// may have had it.
	mutex := redsync.New(&setPool{node: n, keys: keys, call: newCall(keys)}).NewMutex("set", redsync.WithSetNXOnExtend())
	if err := mutex.TryLock(); err != nil {
		t.Fatal(err)
	}
	m.FlushAll()
	if ok, err := mutex.Extend(); ok || !errors.Is(err, errUnsupported) {
		t.Errorf("extend with SetNXOnExtend: got %v, %v, want it refused", ok, err)
	}
	if m.Exists(keys[0]) {
		t.Error("the lock was taken again")
	}
	ok, err := mutex.Valid() //nolint:staticcheck // deprecated, and refused because of that
	if ok || !errors.Is(err, errUnsupported) {
		t.Errorf("valid: got %v, %v, want it refused", ok, err)
	}
}
