package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"orderconsumer/internal/cli"
)

// healthCommand asks a running instance how it is: for container health checks,
// which have no other program to ask with.
type healthCommand struct {
	Live  bool          `xor:"probe" help:"Ask whether the process moves: the answer to no is to restart it."`
	Ready bool          `xor:"probe" help:"Ask whether it can work: the default."`
	Addr  string        `env:"HTTP_ADDR" default:"localhost:8080" help:"Where the instance serves, host:port."`
	Wait  time.Duration `name:"timeout" default:"3s" help:"How long to wait for the answer."`
}

// maxHealthBytes is far above any report.
const maxHealthBytes = 1 << 20

// Run implements a command. A container's health check knows 0 and 1 alone, so
// every failure is ExitFailed.
func (c *healthCommand) Run(ctx context.Context, s *cli.Session) error {
	addr, err := dialable(c.Addr)
	if err != nil {
		return err
	}
	path := "/readyz"
	if c.Live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Wait, fmt.Errorf("no answer within %s", c.Wait))
	defer cancel()
	target := url.URL{Scheme: "http", Host: addr, Path: path, RawQuery: "verbose"}
	status, report, err := ask(ctx, target.String())
	if err != nil {
		return &cli.Failure{Code: cli.ExitFailed, Err: fmt.Errorf("ask %s: %w", target.Host, err),
			Try: fmt.Sprintf("start an instance (%s run), or set HTTP_ADDR to where it serves", s.Name)}
	}
	_, err = io.WriteString(s.Stdout, report)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s answers %s with %d", target.Host, path, status)
	}
	return nil
}

// ask gets one report.
func ask(ctx context.Context, target string) (status int, report string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	// No proxy: the instance is on this machine, whatever the environment says
	// about the way to others.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxHealthBytes))
	if err != nil {
		return 0, "", err
	}
	return res.StatusCode, string(body), nil
}

// dialable turns an address to listen on into one to connect to.
func dialable(addr string) (string, error) {
	if addr == "" {
		return "", errors.New("the instance serves nothing (HTTP_ADDR is empty)")
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("HTTP_ADDR %q: want host:port", addr)
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}
