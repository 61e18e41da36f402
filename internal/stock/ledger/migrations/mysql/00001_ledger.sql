-- MySQL 8.4 and later, MariaDB 10.11 and later.
--
-- Ids are VARBINARY: two ids are the same when their bytes are, with no
-- collation, no padding and no case to fold. (The mysql client shows them as
-- hex unless started with --skip-binary-as-hex.)

-- +goose Up
CREATE TABLE stock (
    goods_id   VARBINARY(64) NOT NULL,
    available  BIGINT        NOT NULL,
    updated_at DATETIME(3)   NOT NULL,
    PRIMARY KEY (goods_id),
    CONSTRAINT stock_never_negative CHECK (available >= 0)
) ENGINE = InnoDB;

-- One row for each order, and the outcome is in it. items is what was asked
-- for, {"goods id":num,...} sorted by goods id; NULL when the order was
-- cancelled before it came. shortages says why it was rejected.
CREATE TABLE orders (
    order_id         VARBINARY(64) NOT NULL,
    state            ENUM ('deducted', 'rejected', 'released', 'voided') NOT NULL,
    items            MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    shortages        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    origin_topic     VARCHAR(249) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    origin_partition INT           NOT NULL,
    origin_offset    BIGINT        NOT NULL,
    attempts         INT           NOT NULL,
    decided_at       DATETIME(3)   NOT NULL,
    released_at      DATETIME(3)   NULL,
    PRIMARY KEY (order_id)
) ENGINE = InnoDB;

-- Every change of every level; rows are never changed or removed. ref is the
-- order, or the id of a restock or correction. The key is the last word on
-- "at most once": one deduction, one release of a goods for each order.
CREATE TABLE movements (
    ref      VARBINARY(64) NOT NULL,
    goods_id VARBINARY(64) NOT NULL,
    kind     ENUM ('correct', 'deduct', 'release', 'restock') NOT NULL,
    delta    BIGINT        NOT NULL,
    balance  BIGINT        NOT NULL,
    moved_at DATETIME(3)   NOT NULL,
    PRIMARY KEY (ref, goods_id, kind)
) ENGINE = InnoDB;

-- +goose Down
DROP TABLE movements;
DROP TABLE orders;
DROP TABLE stock;
