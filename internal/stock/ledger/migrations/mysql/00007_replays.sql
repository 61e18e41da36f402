-- A row for each replay: what was chosen, by whom and why, how far it has come.
-- ranges, spec and progress are JSON that the program writes and reads.
--
-- beats counts what its holder records, beat_at is when, by the server's clock;
-- fence grows with each holder, and the holder of an older one can record
-- nothing.

-- +goose Up
CREATE TABLE replays (
    replay_id  VARBINARY(64) NOT NULL,
    kind       VARCHAR(16)   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state      ENUM ('running', 'stopped', 'cancelled', 'done') NOT NULL,
    ranges     MEDIUMTEXT    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    spec       MEDIUMTEXT    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    reason     TEXT          CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    who        VARCHAR(255)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    progress   MEDIUMTEXT    CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    note       TEXT          CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    holder     VARCHAR(255)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    fence      BIGINT        NOT NULL,
    beats      BIGINT        NOT NULL,
    beat_at    DATETIME      NOT NULL,
    created_at DATETIME(3)   NOT NULL,
    PRIMARY KEY (replay_id),
    KEY replays_by_state (state)
) ENGINE = InnoDB;

-- One row. Whoever begins or resumes a replay updates it first, so that they come
-- one after the other, and takes its number for a fence.
CREATE TABLE replay_turns (
    id   INT    NOT NULL,
    turn BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
INSERT INTO replay_turns (id, turn) VALUES (1, 0);

-- +goose Down
DROP TABLE replay_turns;
DROP TABLE replays;
