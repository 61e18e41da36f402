-- Jobs that one instance runs, and the movement that stands for those of orders
-- that are remembered no more.

-- +goose Up
ALTER TABLE movements
    MODIFY kind ENUM ('correct', 'deduct', 'release', 'restock', 'carry') NOT NULL;

-- One row for each job. fence grows with each holder; who changes data in a run
-- changes this row in the same transaction, and fails if it has another's fence.
-- scheduled_at is of the newest run; before the first, when the job was first
-- seen. holder is empty when a run was given up half-way.
CREATE TABLE jobs (
    job          VARBINARY(64) NOT NULL,
    fence        BIGINT        NOT NULL,
    beats        BIGINT        NOT NULL,
    running      TINYINT       NOT NULL,
    scheduled_at DATETIME(3)   NOT NULL,
    holder       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (job)
) ENGINE = InnoDB;

-- One row for each run. The key is the last word on "each scheduled time once".
CREATE TABLE job_runs (
    job          VARBINARY(64) NOT NULL,
    scheduled_at DATETIME(3)   NOT NULL,
    cause        ENUM ('schedule', 'manual') NOT NULL,
    holder       VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    fence        BIGINT        NOT NULL,
    crashes      INT           NOT NULL,
    started_at   DATETIME(3)   NOT NULL,
    finished_at  DATETIME(3)   NULL,
    state        ENUM ('running', 'done', 'failed') NOT NULL,
    result       MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    error        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (job, scheduled_at)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE job_runs;
DROP TABLE jobs;
