package lock_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"orderconsumer/internal/lock"
)

// says makes an embedded server tell about itself.
func (w *world) says(i int, runID, role, policy string) {
	w.embedded[i].Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		switch {
		case cmd == "INFO" && len(args) == 1 && args[0] == "server":
			c.WriteBulk("# Server\r\nredis_version:7.0.15\r\nrun_id:" + runID + "\r\n")
		case cmd == "INFO" && len(args) == 1 && args[0] == "replication":
			c.WriteBulk("# Replication\r\nrole:" + role + "\r\nconnected_slaves:0\r\n")
		case cmd == "CONFIG":
			c.WriteMapLen(1)
			c.WriteBulk("maxmemory-policy")
			c.WriteBulk(policy)
		default:
			return false
		}
		return true
	})
}

// clients are the plain clients as Verify takes them.
func (w *world) clients() []redis.UniversalClient {
	clients := make([]redis.UniversalClient, len(w.plain))
	for i, client := range w.plain {
		clients[i] = client
	}
	return clients
}

func TestVerify(t *testing.T) {
	t.Parallel()

	t.Run("accepts a quorum of masters", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		for i := range 3 {
			w.says(i, fmt.Sprint("id", i), "master", "noeviction")
		}
		warnings, err := lock.Verify(t.Context(), w.clients())
		if err != nil || len(warnings) > 0 {
			t.Errorf("got %q, %v", warnings, err)
		}
	})

	t.Run("finds real servers in order", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 3, func(t *testing.T, w *world) {
			warnings, err := lock.Verify(t.Context(), w.clients())
			if err != nil {
				t.Error(err)
			}
			if w.embedded == nil && len(warnings) > 0 {
				t.Errorf("warnings: %q", warnings)
			}
		})
	})

	t.Run("refuses one server under two addresses", func(t *testing.T) {
		t.Parallel()
		onRedis(t, 1, func(t *testing.T, w *world) {
			if w.embedded != nil {
				w.says(0, "id", "master", "noeviction")
			}
			_, through := newGates(t, w) // the same server by another address
			clients, err := lock.NewClients([]string{w.urls[0], through.urls[0], "redis://127.0.0.1:1"}, lock.ClientConfig{Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range clients {
				defer c.Close()
			}
			if _, err := lock.Verify(t.Context(), clients); !errors.Is(err, lock.ErrSameServer) {
				t.Errorf("got %v, want ErrSameServer", err)
			}
		})
	})

	t.Run("refuses a replica", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		w.says(0, "id", "slave", "noeviction")
		if _, err := lock.Verify(t.Context(), w.clients()); !errors.Is(err, lock.ErrReplica) {
			t.Errorf("got %v, want ErrReplica", err)
		}
	})

	t.Run("refuses an even number", func(t *testing.T) {
		t.Parallel()
		if _, err := lock.Verify(t.Context(), embedded(t, 2).clients()); err == nil {
			t.Error("two servers were accepted")
		}
	})

	t.Run("reports a server that is gone, although a quorum is there", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 3)
		w.embedded[1].Close()
		if _, err := lock.Verify(t.Context(), w.clients()); !errors.Is(err, lock.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})

	t.Run("reports a server that is loading", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		w.embedded[0].SetError("LOADING Redis is loading the dataset in memory")
		if _, err := lock.Verify(t.Context(), w.clients()); !errors.Is(err, lock.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})

	t.Run("warns of eviction", func(t *testing.T) {
		t.Parallel()
		w := embedded(t, 1)
		w.says(0, "id", "master", "allkeys-lru")
		warnings, err := lock.Verify(t.Context(), w.clients())
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "noeviction") {
			t.Errorf("got %q, %v", warnings, err)
		}
	})

	t.Run("warns of what it was not told", func(t *testing.T) {
		t.Parallel()
		for servers, want := range map[int]int{1: 1, 3: 6} { // the embedded server tells nothing
			warnings, err := lock.Verify(t.Context(), embedded(t, servers).clients())
			if err != nil || len(warnings) != want {
				t.Errorf("%d servers: got %q, %v, want %d warnings", servers, warnings, err, want)
			}
		}
	})
}
