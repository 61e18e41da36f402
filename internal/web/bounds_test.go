package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for size, taken := range map[int]bool{1: true, maxBodyBytes: true, maxBodyBytes + 1: false, 1 << 20: false} {
			body := strings.Repeat("x", size)
			told := httptest.NewRequest(method, "/v1/stock/421", strings.NewReader(body))
			chunked := httptest.NewRequest(method, "/v1/stock/421", io.MultiReader(strings.NewReader(body)))
			if told.ContentLength != int64(size) || chunked.ContentLength != -1 {
				t.Fatalf("lengths are %d and %d", told.ContentLength, chunked.ContentLength)
			}
			for _, r := range []*http.Request{told, chunked} {
				rec := b.do(t, r)
				if refused := rec.Code == http.StatusRequestEntityTooLarge; refused == taken {
					t.Errorf("%s with %d bytes (told: %v): status is %d", method, size, r.ContentLength > 0, rec.Code)
				}
				if closed := rec.Header().Get("Connection") == "close"; closed == taken {
					t.Errorf("%s with %d bytes: connection is closed: %v", method, size, closed)
				}
			}
		}
	}
}

// TestABodyIsNotReadBeyondItsBound holds it over a connection: the client sends for
// as long as anybody reads.
func TestABodyIsNotReadBeyondItsBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := dialSlowly(t)
		// net/http reads 4 KiB at a time, and throws away 256 KiB of what a handler
		// has left.
		const most = 300 << 10
		sent := 0
		go func() {
			_, _ = io.WriteString(c, "POST /v1/stock/421 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				n, err := io.WriteString(c, "400\r\n"+strings.Repeat("x", 0x400)+"\r\n")
				sent += n
				if err != nil {
					return
				}
			}
		}()
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatalf("got %+v, %v, want 413", answer, err)
		}
		_ = answer.Body.Close()
		_, _ = io.Copy(io.Discard, c)
		synctest.Wait()
		if sent > most {
			t.Errorf("%d bytes were read", sent)
		}
	})
}

// TestASlowClientIsCutOff: nobody may hold a connection for as long as he likes.
func TestASlowClientIsCutOff(t *testing.T) {
	t.Parallel()
	const request = defaultLookupTimeout + transferTimeout
	for name, c := range map[string]struct {
		sends string
		reads bool
		after time.Duration
	}{
		"that says nothing":             {after: readHeaderTimeout, reads: true},
		"whose header does not end":     {sends: "GET /livez HTTP/1.1\r\nHost: x\r\nX-", after: readHeaderTimeout, reads: true},
		"whose body does not come":      {sends: "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", after: request, reads: true},
		"whose body does not end":       {sends: "POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", after: request, reads: true},
		"that does not read its answer": {sends: "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", after: request},
		"that asks nothing more":        {sends: "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", after: idleTimeout, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := dialSlowly(t)
				began := time.Now()
				if _, err := io.WriteString(conn, c.sends); err != nil {
					t.Fatal(err)
				}
				if !c.reads {
					time.Sleep(c.after + 1) // of the bubble: nothing was written by then, and nobody writes any more
					if n, err := io.Copy(io.Discard, conn); n > 0 || err != nil {
						t.Errorf("%d bytes came after %s (%v)", n, c.after, err)
					}
					return
				}
				_, err := io.Copy(io.Discard, conn)
				if took := time.Since(began); err != nil || took != c.after {
					t.Errorf("the connection ended after %s (%v), want %s", took, err, c.after)
				}
			})
		})
	}
}

// dialSlowly is a connection to a server of a bubble. It carries a byte when
// somebody reads it.
func dialSlowly(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	s := setup(t).server(t)
	pipe := &pipeListener{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	pipe.conns <- theirs
	s.listener = pipe
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		_ = ours.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return ours
}

// pipeListener hands out connections that were made beforehand.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
		return errors.New("closed twice")
	default:
		close(l.closed)
		return nil
	}
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
