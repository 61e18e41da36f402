package faultproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderconsumer/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with what it is sent, and ends when its client does.
func echo(t *testing.T) (address string) {
	t.Helper()
	return serve(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

// recorder is an echo that keeps what it was sent.
func recorder(t *testing.T, mu *sync.Mutex, seen *bytes.Buffer) (address string) {
	t.Helper()
	return serve(t, func(conn net.Conn) {
		buffer := make([]byte, 1024)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			mu.Lock()
			seen.Write(buffer[:n])
			mu.Unlock()
			if _, err := conn.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
}

// serve listens until the test ends.
func serve(t *testing.T, talk func(net.Conn)) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func start(t *testing.T, cfg faultproxy.Config) *faultproxy.Proxy {
	t.Helper()
	if cfg.Target == "" {
		cfg.Target = echo(t)
	}
	p, err := faultproxy.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask sends text and returns what comes back, which is as long.
func ask(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len(text))
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// expectSilence reads for a while and wants nothing to come.
func expectSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	const while = 50 * time.Millisecond
	if err := conn.SetReadDeadline(time.Now().Add(while)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes and %v, want silence", n, err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// expectNobody wants a new connection to be reset, which may show when it is
// made or when it is read.
func expectNobody(t *testing.T, p *faultproxy.Proxy) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.Addr())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset connection", err)
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()

	t.Run("carries both ways and passes the end on", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, start(t, faultproxy.Config{}))
		if got := ask(t, conn, "there and back"); got != "there and back" {
			t.Errorf("got %q", got)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(conn)
		if err != nil || len(rest) != 0 {
			t.Errorf("got %q and %v after the end, want the echo's end", rest, err)
		}
	})

	t.Run("delays each direction", func(t *testing.T) {
		t.Parallel()
		const delay = 20 * time.Millisecond
		p := start(t, faultproxy.Config{Delay: delay})
		conn := dial(t, p)
		begin := time.Now()
		ask(t, conn, "x")
		if took := time.Since(begin); took < 2*delay {
			t.Errorf("there and back took %s, want at least %s", took, 2*delay)
		}
		p.SetDelay(time.Hour)
		if _, err := io.WriteString(conn, "later"); err != nil {
			t.Fatal(err)
		}
		expectSilence(t, conn)
	})

	t.Run("does not pay the delay for every message", func(t *testing.T) {
		t.Parallel()
		const delay, messages = 100 * time.Millisecond, 200
		conn := dial(t, start(t, faultproxy.Config{Delay: delay})).(*net.TCPConn)
		begin := time.Now()
		var sender sync.WaitGroup
		sender.Go(func() {
			for range messages {
				if _, err := conn.Write([]byte("message")); err != nil {
					t.Error(err)
				}
				// Reads that are far apart are pieces of their own.
				<-time.After(time.Millisecond / 4)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		got, err := io.ReadAll(conn)
		sender.Wait()
		if err != nil || len(got) != messages*len("message") {
			t.Fatalf("got %d bytes and %v", len(got), err)
		}
		if took := time.Since(begin); took > messages*delay/2 {
			t.Errorf("%d messages took %s: they waited for one another", messages, took)
		}
	})

	t.Run("holds everything back while it is cut", func(t *testing.T) {
		t.Parallel()
		p := start(t, faultproxy.Config{})
		conn := dial(t, p)
		ask(t, conn, "before")
		p.Cut()
		p.Cut() // once is enough
		if _, err := io.WriteString(conn, "held"); err != nil {
			t.Fatal(err)
		}
		expectSilence(t, conn)
		p.Mend()
		held := make([]byte, len("held"))
		if _, err := io.ReadFull(conn, held); err != nil || string(held) != "held" {
			t.Errorf("got %q and %v after the mend", held, err)
		}
	})

	t.Run("resets what there is and welcomes what comes", func(t *testing.T) {
		t.Parallel()
		p := start(t, faultproxy.Config{})
		conn := dial(t, p)
		ask(t, conn, "before")
		if n := p.Connections(); n != 1 {
			t.Errorf("got %d connections, want 1", n)
		}
		p.Reset()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset connection", err)
		}
		ask(t, dial(t, p), "after")
	})

	t.Run("refuses until it is mended", func(t *testing.T) {
		t.Parallel()
		p := start(t, faultproxy.Config{})
		old := dial(t, p)
		ask(t, old, "before")
		p.Refuse()
		if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset connection", err)
		}
		expectNobody(t, p)
		p.Mend()
		ask(t, dial(t, p), "after")
	})

	t.Run("loses one request, or the answer to it", func(t *testing.T) {
		t.Parallel()
		var seen bytes.Buffer // by the server
		var mu sync.Mutex
		p := start(t, faultproxy.Config{Target: recorder(t, &mu, &seen), Watch: func(sent []byte) faultproxy.Verdict {
			switch string(sent) {
			case "request":
				return faultproxy.LoseRequest
			case "reply":
				return faultproxy.LoseReply
			default:
				return faultproxy.Pass
			}
		}})
		for _, lost := range []string{"request", "reply"} {
			conn := dial(t, p)
			ask(t, conn, "before")
			if _, err := io.WriteString(conn, lost); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: got %d bytes and %v, want a reset connection", lost, n, err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if got, want := seen.String(), "beforebeforereply"; got != want {
			t.Errorf("the server has seen %q, want %q", got, want)
		}
	})

	t.Run("listens where it is told to", func(t *testing.T) {
		t.Parallel()
		first := start(t, faultproxy.Config{})
		_, err := faultproxy.Start(faultproxy.Config{Target: first.Addr(), Listen: first.Addr()})
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got %v, want %v", err, syscall.EADDRINUSE)
		}
	})

	t.Run("ends a connection whose server is not there", func(t *testing.T) {
		t.Parallel()
		gone := start(t, faultproxy.Config{})
		target := gone.Addr()
		gone.Close()
		expectNobody(t, start(t, faultproxy.Config{Target: target}))
	})

	t.Run("leaves nothing running when it is closed while cut and full", func(t *testing.T) {
		t.Parallel()
		p := start(t, faultproxy.Config{})
		conn := dial(t, p)
		ask(t, conn, "before")
		p.Cut()
		var writer sync.WaitGroup
		writer.Go(func() {
			for {
				if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		})
		p.Close()
		writer.Wait()
	})
}
