-- A number that grows with each change of a level, so that of two readings of
-- one level the later one can be told: many changes share a millisecond.

-- +goose Up
ALTER TABLE stock ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE stock DROP COLUMN version;
