package faultsuite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// diskRows fill the disk that a database has its data, its logs and its temporary files
// on.
func diskRows() []Row {
	const expect = "work stands still and says so, readiness is red: no order is dead for it, and hardly any goes to the retry tiers"
	var rows []Row
	for _, kind := range []struct{ name, server, says string }{{"disk-full", "mysql2", "MySQL"}, {"disk-full-mariadb", "mariadb2", "MariaDB"}} {
		fault := fmt.Sprintf("the disk of %s is full to the last byte for 20 s", kind.says)
		rows = append(rows,
			Row{Number: 37, Name: kind.name, Fault: fault, Expect: expect, Disk: kind.server, play: playDiskFull(kind.server, false)},
			Row{Number: 37, Name: kind.name + "-backlog", Fault: fault + ", and it finds a backlog: large transactions, which need temporary files",
				Expect: expect, Disk: kind.server, play: playDiskFull(kind.server, true)})
	}
	return rows
}

const (
	diskFullFor = 20 * time.Second
	// spaceGoal is what it may take from free space to the next outcome. A server that
	// has found no space for its binary log looks for it once a minute.
	spaceGoal = time.Minute + restartGoal
)

func playDiskFull(server string, backlog bool) func(context.Context, *act) error {
	return func(ctx context.Context, a *act) error {
		var at []string
		for range diskConsumers {
			address, err := freeAddress(ctx)
			if err != nil {
				return err
			}
			at = append(at, address)
			if _, err = a.start("HTTP_ADDR=" + address); err != nil {
				return err
			}
		}
		if err := a.begin(ctx, 0); err != nil {
			return err
		}
		retried, err := a.retries(ctx)
		if err != nil {
			return err
		}
		ballast := &ballast{path: filepath.Join(a.Servers.Folder, server, "disk", "ballast")}
		defer ballast.drop() //nolint:errcheck // it has been dropped, unless something else went wrong
		if backlog {
			if err = a.behind(ctx, ballast, at); err != nil {
				return err
			}
		}
		before, err := a.fullDisk(ctx, ballast)
		if err == nil {
			err = oneSaysDown(ctx, at)
		}
		freed := time.Now()
		err = errors.Join(err, ballast.drop())
		if err != nil {
			return err
		}
		err = a.spaceAgain(ctx, server, before, freed)
		a.observe("the consumers were told %s", a.told())
		if a.logged("work stands still") == 0 {
			err = errors.Join(err, errors.New("no log says that work stands still"))
		}
		return errors.Join(err, a.fewRetries(ctx, retried))
	}
}

// diskConsumers share the work. Those that have no COMMIT under way wait for goods that another
// one keeps, and need not notice anything.
const diskConsumers = 2

// oneSaysDown fails unless a consumer's readiness is red because work stands still.
func oneSaysDown(ctx context.Context, at []string) error {
	var errs []error
	for _, address := range at {
		err := saysDown(ctx, address)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// retriedShare: at most one event in so many may go to a retry tier. A COMMIT that hangs keeps its
// rows, and its instance the lock of their goods; another instance can tell neither from
// a stranger's, and puts the orders that want them aside after a while.
const retriedShare = 100

// fewRetries looks at the retry tiers once everything is settled: a batch that waits for goods
// puts orders aside late.
func (a *act) fewRetries(ctx context.Context, before int64) error {
	if err := a.dam(); err != nil {
		return err
	}
	settling, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	if err := a.place.AwaitLeft(settling, 0, nil); err != nil {
		return err
	}
	after, err := a.retries(ctx)
	if err != nil {
		return err
	}
	a.observe("%d events went to the retry tiers", after-before)
	if (after-before)*retriedShare > a.load.Sent() {
		return fmt.Errorf("%d of %d events went to the retry tiers, want at most one in %d", after-before, a.load.Sent(), retriedShare)
	}
	return nil
}

// pileUp is how long there are no consumers, so that their first transactions are large.
const pileUp = session / 2

// behind stops all consumers, and starts as many when the disk is full: they have a
// backlog, and no COMMIT of theirs is under way.
func (a *act) behind(ctx context.Context, b *ballast, at []string) error {
	var errs []error
	for _, c := range a.alive() {
		errs = append(errs, c.Stop())
	}
	errs = append(errs, a.wait(ctx, pileUp), b.fill())
	for _, address := range at {
		_, err := a.start("HTTP_ADDR=" + address)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, a.members(ctx, diskConsumers))...)
}

// fullDisk keeps the disk full for diskFullFor, and returns how many outcomes there are
// at its end.
func (a *act) fullDisk(ctx context.Context, b *ballast) (outcomes int64, err error) {
	first := int64(-1)
	for began := time.Now(); time.Since(began) < diskFullFor; {
		// What a transaction rolled back has given back is taken, too.
		if err = b.fill(); err != nil {
			return 0, err
		}
		if err = a.wait(ctx, watchEvery); err != nil {
			return 0, err
		}
		if first < 0 && time.Since(began) > silence {
			if first, err = a.place.Outcomes(ctx); err != nil {
				return 0, err
			}
		}
	}
	outcomes, err = a.place.Outcomes(ctx)
	if err == nil && outcomes > first {
		a.observe("%d outcomes while the disk was full", outcomes-first)
	}
	return outcomes, err
}

// spaceAgain starts the server again if it has ended, and measures how long it takes
// until work goes on.
func (a *act) spaceAgain(ctx context.Context, server string, before int64, freed time.Time) error {
	if _, err := a.Servers.process(server); err != nil {
		a.observe("the server had ended")
		if err = a.Servers.Up(ctx, server); err != nil {
			return err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	took, err := a.place.AwaitOutcome(waiting, before, freed)
	if err != nil {
		return err
	}
	a.timed("first outcome after there was space", took, spaceGoal)
	said, err := os.ReadFile(filepath.Join(a.Servers.Folder, server, "log"))
	if err == nil && strings.Contains(string(said), "Disk is full writing") {
		a.observe("the server waited for space for its binary log")
	}
	return err
}

// serverError finds the number of a database's error.
var serverError = regexp.MustCompile(`Error (\d+) \(`)

// told are the errors of the database that consumers' logs have, each once.
func (a *act) told() string {
	var numbers []string
	for i := range a.consumers {
		content, err := os.ReadFile(fmt.Sprintf("%s-%02d.log", a.logs, i+1))
		if err != nil {
			continue
		}
		for _, found := range serverError.FindAllStringSubmatch(string(content), -1) {
			numbers = append(numbers, found[1])
		}
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	if len(numbers) == 0 {
		return "no error number"
	}
	return "error " + strings.Join(numbers, ", ")
}

// ballast is a file that takes what space there is.
type ballast struct{ path string }

// fill makes the file longer until there is no space left for a page.
func (b *ballast) fill() error {
	file, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer file.Close() //nolint:errcheck // that it cannot be written is what is wanted
	for _, size := range []int{1 << 20, 4 << 10} {
		piece := make([]byte, size)
		for err = nil; err == nil; {
			_, err = file.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// drop gives the space back.
func (b *ballast) drop() error {
	err := os.Remove(b.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("give the disk back: %w", err)
	}
	return nil
}

// freeAddress is one on which nobody listens.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// saysDown fails unless the consumer's readiness is red because work stands still.
func saysDown(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, restartGoal)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/readyz?verbose", nil)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "paused by database") {
		return fmt.Errorf("readiness is %d while the database's disk is full: %s", answer.StatusCode, text)
	}
	return nil
}
