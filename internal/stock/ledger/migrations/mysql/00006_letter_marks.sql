-- What people have decided about dead letters. Rows are never changed or
-- removed: the last mark of a letter says how it stands. appended_at tells it
-- from one of another log that has the same place.

-- +goose Up
CREATE TABLE letter_marks (
    topic            VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    letter_partition INT          NOT NULL,
    letter_offset    BIGINT       NOT NULL,
    seq              INT          NOT NULL,
    appended_at      DATETIME(3)  NOT NULL,
    mark             ENUM ('archived', 'restored') NOT NULL,
    note             VARCHAR(1000) CHARACTER SET utf8mb4 NOT NULL,
    actor            VARCHAR(200)  CHARACTER SET utf8mb4 NOT NULL,
    marked_at        DATETIME(3)  NOT NULL,
    PRIMARY KEY (topic, letter_partition, letter_offset, seq)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE letter_marks;
