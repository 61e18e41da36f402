package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// servers are the URLs of real servers, where tests run on them.
func servers() (redis, database string) {
	if os.Getenv("REQUIRE_SERVERS") != "1" {
		return "", ""
	}
	redis, _, _ = strings.Cut(os.Getenv("REDIS_URL"), ",")
	return redis, os.Getenv("DATABASE_URL")
}

// TestStoriesGoAsThePageTellsThem: docs/redsync.md quotes the output, which is
// the same on real servers.
func TestStoriesGoAsThePageTellsThem(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/redsync.md")
	if err != nil {
		t.Fatal(err)
	}
	redis, database := servers()
	var out strings.Builder
	if err := run(context.Background(), &out, redis, database); err != nil {
		t.Fatal(err)
	}
	if out.Len() == 0 || !strings.Contains(string(page), out.String()) {
		t.Errorf("docs/redsync.md does not quote this:\n%s", out.String())
	}
}
