package lock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrSameServer: two of the clients reach one server. A quorum of it and
	// itself either never locks or protects from nothing.
	ErrSameServer = errors.New("two addresses of one Redis server")

	// ErrReplica: a client reaches a replica, which refuses to lock.
	ErrReplica = errors.New("the Redis server is a replica, not a master")
)

// Verify asks each server what it is. It returns an error when the servers
// cannot be used for locking: one does not answer (ErrUnavailable, whether or
// not there is still a quorum), is a replica (ErrReplica), or is met twice
// (ErrSameServer). Warnings are for what weakens the lock, and for what a
// server would not tell; each is one line that says what to do.
func Verify(ctx context.Context, clients []redis.UniversalClient) (warnings []string, err error) {
	if err := checkCount(len(clients)); err != nil {
		return nil, err
	}
	seen := map[string]string{} // run id to address
	for _, client := range clients {
		addr := address(client)
		about, err := inspect(ctx, client)
		switch {
		case err != nil:
			return warnings, fmt.Errorf("%w: redis %s: %w", ErrUnavailable, addr, err)
		case about.role != "" && about.role != "master":
			return warnings, fmt.Errorf("redis %s: %w (role %s): give its master's address", addr, ErrReplica, about.role)
		case about.runID == "" && len(clients) > 1:
			warnings = append(warnings, fmt.Sprintf("redis %s does not tell its run_id: make sure that no other address of the quorum reaches it", addr))
		case about.runID != "" && seen[about.runID] != "":
			return warnings, fmt.Errorf("redis %s and %s: %w", seen[about.runID], addr, ErrSameServer)
		}
		seen[about.runID] = addr
		switch about.policy {
		case "noeviction":
		case "":
			warnings = append(warnings, fmt.Sprintf("redis %s does not tell its maxmemory-policy: make sure that it is noeviction", addr))
		default:
			warnings = append(warnings, fmt.Sprintf("redis %s may evict locks (maxmemory-policy %s): set it to noeviction", addr, about.policy))
		}
	}
	return warnings, nil
}

// about is what a server says of itself; a field is empty where it would not.
type about struct {
	runID, role, policy string
}

// inspect fails only if the server is not to be reached or not yet ready: that
// a hosted Redis refuses INFO or CONFIG is no reason not to lock on it.
func inspect(ctx context.Context, client redis.UniversalClient) (about, error) {
	var a about
	if err := client.Ping(ctx).Err(); err != nil {
		return a, err
	}
	server, err := client.Info(ctx, "server").Result()
	if err != nil && !isReply(err) {
		return a, err
	}
	replication, err := client.Info(ctx, "replication").Result()
	if err != nil && !isReply(err) {
		return a, err
	}
	settings, err := client.ConfigGet(ctx, "maxmemory-policy").Result()
	if err != nil && !isReply(err) {
		return a, err
	}
	a.runID = infoField(server, "run_id")
	a.role = infoField(replication, "role")
	a.policy = settings["maxmemory-policy"]
	return a, nil
}

// infoField returns the value of one line "name:value" of an INFO reply.
func infoField(info, name string) string {
	lines := bufio.NewScanner(strings.NewReader(info))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// address names a client's server in errors.
func address(client redis.UniversalClient) string {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().Addr
	case *redis.ClusterClient:
		return strings.Join(c.Options().Addrs, ",")
	default:
		return "server"
	}
}
