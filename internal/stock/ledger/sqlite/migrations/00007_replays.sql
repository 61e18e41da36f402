-- A row for each replay: what was chosen, by whom and why, how far it has come.
-- ranges, spec and progress are JSON that the program writes and reads.
--
-- beats counts what its holder records, beat_at is when, by the database's clock;
-- fence grows with each holder, and the holder of an older one can record
-- nothing.

-- +goose Up
CREATE TABLE replays (
    replay_id  BLOB     NOT NULL PRIMARY KEY,
    kind       TEXT     NOT NULL,
    state      TEXT     NOT NULL CHECK (state IN ('running', 'stopped', 'cancelled', 'done')),
    ranges     TEXT     NOT NULL,
    spec       TEXT     NOT NULL,
    reason     TEXT     NOT NULL,
    who        TEXT     NOT NULL,
    progress   TEXT     NOT NULL,
    note       TEXT     NOT NULL,
    holder     TEXT     NOT NULL,
    fence      INTEGER  NOT NULL,
    beats      INTEGER  NOT NULL,
    beat_at    DATETIME NOT NULL,
    created_at DATETIME NOT NULL
) WITHOUT ROWID;
CREATE INDEX replays_by_state ON replays (state);

-- One row. Whoever begins or resumes a replay updates it first, so that they come
-- one after the other, and takes its number for a fence.
CREATE TABLE replay_turns (
    id   INTEGER NOT NULL PRIMARY KEY,
    turn INTEGER NOT NULL
);
INSERT INTO replay_turns (id, turn) VALUES (1, 0);

-- +goose Down
DROP TABLE replay_turns;
DROP TABLE replays;
