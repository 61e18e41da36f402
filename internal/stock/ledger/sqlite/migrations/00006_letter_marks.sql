-- What people have decided about dead letters. Rows are never changed or
-- removed: the last mark of a letter says how it stands. appended_at tells it
-- from one of another log that has the same place.

-- +goose Up
CREATE TABLE letter_marks (
    topic            TEXT     NOT NULL,
    letter_partition INTEGER  NOT NULL,
    letter_offset    INTEGER  NOT NULL,
    seq              INTEGER  NOT NULL,
    appended_at      DATETIME NOT NULL,
    mark             TEXT     NOT NULL CHECK (mark IN ('archived', 'restored')),
    note             TEXT     NOT NULL,
    actor            TEXT     NOT NULL,
    marked_at        DATETIME NOT NULL,
    PRIMARY KEY (topic, letter_partition, letter_offset, seq)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE letter_marks;
