-- Ids are BLOB: two ids are the same when their bytes are. Times are text in
-- UTC with milliseconds. WITHOUT ROWID keeps each row in its primary key, as
-- InnoDB does.

-- +goose Up
CREATE TABLE stock (
    goods_id   BLOB     NOT NULL PRIMARY KEY,
    available  INTEGER  NOT NULL CONSTRAINT stock_never_negative CHECK (available >= 0),
    updated_at DATETIME NOT NULL
) WITHOUT ROWID;

-- One row for each order, and the outcome is in it. items is what was asked
-- for, {"goods id":num,...} sorted by goods id; NULL when the order was
-- cancelled before it came. shortages says why it was rejected.
CREATE TABLE orders (
    order_id         BLOB     NOT NULL PRIMARY KEY,
    state            TEXT     NOT NULL CHECK (state IN ('deducted', 'rejected', 'released', 'voided')),
    items            BLOB     NULL,
    shortages        BLOB     NULL,
    origin_topic     TEXT     NOT NULL,
    origin_partition INTEGER  NOT NULL,
    origin_offset    INTEGER  NOT NULL,
    attempts         INTEGER  NOT NULL,
    decided_at       DATETIME NOT NULL,
    released_at      DATETIME NULL
) WITHOUT ROWID;

-- Every change of every level; rows are never changed or removed. ref is the
-- order, or the id of a restock or correction. The key is the last word on
-- "at most once": one deduction, one release of a goods for each order.
CREATE TABLE movements (
    ref      BLOB     NOT NULL,
    goods_id BLOB     NOT NULL,
    kind     TEXT     NOT NULL CHECK (kind IN ('deduct', 'release', 'restock', 'correct')),
    delta    INTEGER  NOT NULL,
    balance  INTEGER  NOT NULL,
    moved_at DATETIME NOT NULL,
    PRIMARY KEY (ref, goods_id, kind)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE movements;
DROP TABLE orders;
DROP TABLE stock;
