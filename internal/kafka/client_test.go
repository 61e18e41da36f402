package kafka

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// TestNothingIsLeftOfAClosedClient: also where somebody asks it after it was
// closed. The bubble ends when every goroutine has.
func TestNothingIsLeftOfAClosedClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errAway := errors.New("nobody is there")
		client := Connect(Config{
			Brokers: []string{"broker:9092"}, ClientID: "closed-test",
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errAway },
		})
		_, err := client.Ping(t.Context())
		if !errors.Is(err, errAway) {
			t.Errorf("before it was closed: got %v, want %v", err, errAway)
		}
		client.Close()
		_, err = client.Ping(t.Context())
		if err == nil {
			t.Error("a closed client answers")
		}
	})
}
