package deploy

import (
	"strings"
	"testing"
)

func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := read(t, "Dockerfile")

	t.Run("builds with the Go that go.mod asks for", func(t *testing.T) {
		t.Parallel()
		image := first(t, `(?m)^FROM golang:(\d+\.\d+)\.\d+ `, text)
		module := first(t, `(?m)^go (\d+\.\d+)`, read(t, "go.mod"))
		if image != module {
			t.Errorf("image has Go %s, go.mod asks for %s", image, module)
		}
	})
	t.Run("runs as nobody", func(t *testing.T) {
		t.Parallel()
		if got := first(t, `(?m)^USER (\S+)$`, text); got != "65534:65534" {
			t.Errorf("want user 65534:65534, got %s", got)
		}
	})
	t.Run("has both programs, of which the consumer is started", func(t *testing.T) {
		t.Parallel()
		for _, line := range []string{"-o /image/consumer ./cmd/consumer", "-o /image/producer ./cmd/producer", "CGO_ENABLED=0", `ENTRYPOINT ["/consumer"]`} {
			if !strings.Contains(text, line) {
				t.Errorf("Dockerfile has no %q", line)
			}
		}
	})
}
