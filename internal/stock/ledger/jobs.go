package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"orderconsumer/internal/job"
	"orderconsumer/internal/stock"
)

var _ job.Records = (*Ledger)(nil)

const (
	// recordAttempts bounds how often a statement about a job is run again after it
	// lost against another transaction.
	recordAttempts = 5
	// keepRuns is how long the record of a run is kept: longer than anybody asks
	// about, and bounded for a job of every second.
	keepRuns = 400 * 24 * time.Hour
	// maxResult keeps a result, or an error with a stack, well below a packet.
	maxResult = 256 << 10
)

// Status implements [job.Records].
func (l *Ledger) Status(ctx context.Context, name string) (job.Status, error) {
	for range recordAttempts {
		status, found, err := l.readStatus(ctx, name)
		if err != nil {
			return job.Status{}, fmt.Errorf("read job %s: %w", name, l.translate(ctx, err))
		}
		if found {
			return status, nil
		}
		err = l.insertJob(ctx, name)
		if err != nil && !errors.Is(err, stock.ErrBusy) { // busy: somebody else did
			return job.Status{}, fmt.Errorf("insert job %s: %w", name, err)
		}
	}
	return job.Status{}, fmt.Errorf("read job %s: %w", name, stock.ErrBusy)
}

func (l *Ledger) readStatus(ctx context.Context, name string) (job.Status, bool, error) {
	query := new(statement).text("SELECT fence,beats,running,scheduled_at,holder FROM jobs WHERE job=").bytes(name).String()
	var running int
	var holder key
	s := job.Status{Job: name}
	err := l.db.WithContext(ctx).Raw(query).Row().Scan(&s.Fence, &s.Beats, &running, &s.ScheduledAt, &holder)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	s.Running, s.ScheduledAt, s.Holder = running != 0, s.ScheduledAt.UTC(), string(holder)
	return s, err == nil, err
}

func (l *Ledger) insertJob(ctx context.Context, name string) error {
	now := l.clock()
	return l.transact(ctx, func(t *transaction) error {
		t.st.reset().text("INSERT INTO jobs(job,fence,beats,running,scheduled_at,holder)VALUES(").bytes(name).
			text(",0,0,0,").time(now).text(",'')")
		_, err := t.exec(ctx, "insert job "+name)
		return err
	})
}

// Begin implements [job.Records].
func (l *Ledger) Begin(ctx context.Context, from job.Status, at time.Time, cause job.Cause, holder string) (job.Run, error) {
	at = at.UTC().Truncate(time.Millisecond)
	run := job.Run{Job: from.Job, ScheduledAt: at, Fence: from.Fence + 1}
	err := l.recording(ctx, func(t *transaction) error {
		t.st.reset().text("UPDATE jobs SET fence=fence+1,beats=0,running=1,scheduled_at=").time(at).text(",holder=").bytes(holder).
			text(" WHERE job=").bytes(from.Job).text(" AND running=0 AND fence=").int(from.Fence).
			text(" AND scheduled_at<").time(at) // the key alone would let an older time pass
		if err := t.one(ctx, "begin job "+from.Job, job.ErrMoved); err != nil {
			return err
		}
		t.st.reset().text("INSERT INTO job_runs(job,scheduled_at,cause,holder,fence,crashes,started_at,state,result,error)VALUES(").
			bytes(from.Job).text(",").time(at).text(",").word(string(cause)).text(",").bytes(holder).text(",").int(run.Fence).
			text(",0,").time(l.clock()).text(",").word(string(job.Running)).text(",x'',x'')")
		_, err := t.exec(ctx, "insert run of job "+from.Job)
		return err
	})
	if err != nil {
		return job.Run{}, fmt.Errorf("begin the run of %s: %w", at.Format(time.RFC3339Nano), err)
	}
	return run, nil
}

// TakeOver implements [job.Records].
func (l *Ledger) TakeOver(ctx context.Context, from job.Status, holder string) (job.Run, error) {
	run := job.Run{Job: from.Job, ScheduledAt: from.ScheduledAt, Fence: from.Fence + 1}
	crashed := int64(1)
	if from.Holder == "" {
		crashed = 0
	}
	err := l.recording(ctx, func(t *transaction) error {
		t.st.reset().text("UPDATE jobs SET fence=fence+1,beats=0,holder=").bytes(holder).
			text(" WHERE job=").bytes(from.Job).text(" AND running=1 AND fence=").int(from.Fence).text(" AND beats=").int(from.Beats)
		if err := t.one(ctx, "take over job "+from.Job, job.ErrMoved); err != nil {
			return err
		}
		t.st.reset().text("UPDATE job_runs SET fence=").int(run.Fence).text(",holder=").bytes(holder).
			text(",crashes=crashes+").int(crashed)
		if err := t.one(ctx, "take over the run", job.ErrMoved, ofRun(run)); err != nil {
			return err
		}
		t.st.reset().text("SELECT crashes FROM job_runs")
		ofRun(run)(t.st)
		return t.query(ctx, "read the run", func(rows *sql.Rows) error { return rows.Scan(&run.Crashes) })
	})
	if err != nil {
		return job.Run{}, fmt.Errorf("take over the run of %s: %w", from.ScheduledAt.Format(time.RFC3339Nano), err)
	}
	return run, nil
}

// Beat implements [job.Records].
func (l *Ledger) Beat(ctx context.Context, run job.Run) error {
	// No second try: the next beat is soon, and the row may be held by the run's
	// own work, which is as good as a beat.
	err := l.transact(ctx, func(t *transaction) error {
		return t.guard(ctx, run)
	})
	if err != nil {
		return fmt.Errorf("beat of job %s: %w", run.Job, err)
	}
	return nil
}

// guard checks the run's fence and locks the job's row until the transaction
// ends, so that nobody takes the run over before what was written under it is
// committed. It comes last: the row is wanted for beats meanwhile.
func (t *transaction) guard(ctx context.Context, run job.Run) error {
	t.st.reset().text("UPDATE jobs SET beats=beats+1")
	return t.one(ctx, "check the fence", job.ErrFenced, ofFence(run))
}

// GiveUp implements [job.Records].
func (l *Ledger) GiveUp(ctx context.Context, run job.Run) error {
	err := l.recording(ctx, func(t *transaction) error {
		t.st.reset().text("UPDATE jobs SET beats=beats+1,holder=''")
		return t.one(ctx, "give up the run", job.ErrFenced, ofFence(run))
	})
	if err != nil {
		return fmt.Errorf("give up job %s: %w", run.Job, err)
	}
	return nil
}

// Finish implements [job.Records].
func (l *Ledger) Finish(ctx context.Context, run job.Run, end job.End) error {
	doubt := false // whether an earlier try may have been committed
	for range recordAttempts {
		err := l.finish(ctx, run, end)
		switch {
		case err == nil:
			return nil
		case doubt && errors.Is(err, job.ErrFenced):
			return l.finished(ctx, run, err)
		case errors.Is(err, stock.ErrUnknownCommit):
			doubt = true
		case !errors.Is(err, stock.ErrBusy):
			return fmt.Errorf("finish job %s: %w", run.Job, err)
		}
	}
	return fmt.Errorf("finish job %s: %w", run.Job, stock.ErrBusy)
}

func (l *Ledger) finish(ctx context.Context, run job.Run, end job.End) error {
	now := l.clock()
	return l.transact(ctx, func(t *transaction) error {
		t.st.reset().text("UPDATE jobs SET running=0,beats=beats+1")
		if err := t.one(ctx, "end the run", job.ErrFenced, ofFence(run)); err != nil {
			return err
		}
		t.st.reset().text("UPDATE job_runs SET finished_at=").time(now).text(",state=").word(string(end.State)).
			text(",result=").bytes(cut(end.Result)).text(",error=").bytes(cut(end.Error))
		if err := t.one(ctx, "record the end of the run", job.ErrFenced, ofRun(run)); err != nil {
			return err
		}
		t.st.reset().text("DELETE FROM job_runs WHERE job=").bytes(run.Job).text(" AND scheduled_at<").time(now.Add(-keepRuns))
		_, err := t.exec(ctx, "forget old runs")
		return err
	})
}

// finished tells a run that was ended by a commit whose answer was lost from one
// that somebody else took over.
func (l *Ledger) finished(ctx context.Context, run job.Run, fenced error) error {
	runs, err := l.Runs(ctx, run.Job, 1)
	if err != nil {
		return err
	}
	if len(runs) == 1 && runs[0].Fence == run.Fence && runs[0].State != job.Running {
		return nil
	}
	return fenced
}

// cut keeps a text below maxResult.
func cut(text string) string { return text[:min(len(text), maxResult)] }

// Runs implements [job.Records].
func (l *Ledger) Runs(ctx context.Context, name string, most int) ([]job.Record, error) {
	return l.RunsBefore(ctx, name, nil, most)
}

// RunsBefore is Runs, beginning behind the one given; nil begins with the newest.
// A caller goes on from the last run of a page until a page is short.
func (l *Ledger) RunsBefore(ctx context.Context, name string, last *job.Record, most int) ([]job.Record, error) {
	st := new(statement).text("SELECT job,scheduled_at,cause,holder,fence,crashes,started_at,finished_at,state,result,error FROM job_runs WHERE 1=1")
	if name != "" {
		st.text(" AND job=").bytes(name)
	}
	if last != nil {
		st.text(" AND scheduled_at<=").time(last.ScheduledAt).text(" AND(scheduled_at<").time(last.ScheduledAt).
			text(" OR job>").bytes(last.Job).text(")")
	}
	st.text(" ORDER BY scheduled_at DESC,job LIMIT ").int(int64(most))
	records, err := l.scanRuns(ctx, st.String())
	if err != nil {
		return nil, fmt.Errorf("read %d runs of jobs: %w", most, l.translate(ctx, err))
	}
	return records, nil
}

func (l *Ledger) scanRuns(ctx context.Context, query string) ([]job.Record, error) {
	rows, err := l.db.WithContext(ctx).Raw(query).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var records []job.Record
	for rows.Next() {
		var r job.Record
		var name, holder, result, failed key
		var finished *time.Time
		err := rows.Scan(&name, &r.ScheduledAt, &r.Cause, &holder, &r.Fence, &r.Crashes, &r.StartedAt, &finished, &r.State, &result, &failed)
		if err != nil {
			return nil, err
		}
		r.Job, r.Holder, r.Result, r.Error = string(name), string(holder), string(result), string(failed)
		r.ScheduledAt, r.StartedAt = r.ScheduledAt.UTC(), r.StartedAt.UTC()
		if finished != nil {
			r.FinishedAt = finished.UTC()
		}
		records = append(records, r)
	}
	return records, rows.Err()
}

// recording runs fn in a transaction, again while it loses against another.
// What it does is guarded, so that a second time is refused.
func (l *Ledger) recording(ctx context.Context, fn func(*transaction) error) (err error) {
	for range recordAttempts {
		err = l.transact(ctx, fn)
		if !errors.Is(err, stock.ErrBusy) {
			break
		}
	}
	return err
}

// condition ends a statement with which row it is about.
type condition func(*statement)

func ofFence(run job.Run) condition {
	return func(s *statement) {
		s.text(" WHERE job=").bytes(run.Job).text(" AND running=1 AND fence=").int(run.Fence)
	}
}

func ofRun(run job.Run) condition {
	return func(s *statement) {
		s.text(" WHERE job=").bytes(run.Job).text(" AND scheduled_at=").time(run.ScheduledAt)
	}
}

// one runs the statement in t.st, which must change exactly one row; otherwise
// the transaction is dead of the error given.
func (t *transaction) one(ctx context.Context, what string, otherwise error, of ...condition) error {
	for _, c := range of {
		c(t.st)
	}
	affected, err := t.exec(ctx, what)
	if err != nil {
		return err
	}
	if affected != 1 {
		return t.kill(what, otherwise)
	}
	return nil
}
