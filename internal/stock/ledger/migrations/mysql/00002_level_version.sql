-- A number that grows with each change of a level, so that of two readings of
-- one level the later one can be told: many changes share a millisecond. The
-- servers add the column without touching the rows.

-- +goose Up
ALTER TABLE stock ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE stock DROP COLUMN version;
