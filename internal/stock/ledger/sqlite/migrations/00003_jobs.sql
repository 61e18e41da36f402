-- Jobs that one instance runs, and the movement that stands for those of orders
-- that are remembered no more.

-- +goose Up
-- A check cannot be changed, so the table is made anew.
CREATE TABLE movements_new (
    ref      BLOB     NOT NULL,
    goods_id BLOB     NOT NULL,
    kind     TEXT     NOT NULL CHECK (kind IN ('deduct', 'release', 'restock', 'correct', 'carry')),
    delta    INTEGER  NOT NULL,
    balance  INTEGER  NOT NULL,
    moved_at DATETIME NOT NULL,
    PRIMARY KEY (ref, goods_id, kind)
) WITHOUT ROWID;
INSERT INTO movements_new SELECT ref, goods_id, kind, delta, balance, moved_at FROM movements;
DROP TABLE movements;
ALTER TABLE movements_new RENAME TO movements;

-- One row for each job. fence grows with each holder; who changes data in a run
-- changes this row in the same transaction, and fails if it has another's fence.
-- scheduled_at is of the newest run; before the first, when the job was first
-- seen. holder is empty when a run was given up half-way.
CREATE TABLE jobs (
    job          BLOB     NOT NULL PRIMARY KEY,
    fence        INTEGER  NOT NULL,
    beats        INTEGER  NOT NULL,
    running      INTEGER  NOT NULL,
    scheduled_at DATETIME NOT NULL,
    holder       TEXT     NOT NULL
) WITHOUT ROWID;

-- One row for each run. The key is the last word on "each scheduled time once".
CREATE TABLE job_runs (
    job          BLOB     NOT NULL,
    scheduled_at DATETIME NOT NULL,
    cause        TEXT     NOT NULL CHECK (cause IN ('schedule', 'manual')),
    holder       TEXT     NOT NULL,
    fence        INTEGER  NOT NULL,
    crashes      INTEGER  NOT NULL,
    started_at   DATETIME NOT NULL,
    finished_at  DATETIME NULL,
    state        TEXT     NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    result       BLOB     NOT NULL,
    error        BLOB     NOT NULL,
    PRIMARY KEY (job, scheduled_at)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE job_runs;
DROP TABLE jobs;
