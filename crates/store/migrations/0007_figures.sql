-- What a merchant took, gave back and paid in fees, by day (days since 1970-01-01, UTC). Folded from
-- balance_transactions and charge.failed events behind a mark below which none of them can still commit.
CREATE TABLE figures (
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    day BIGINT NOT NULL,
    currency TEXT NOT NULL,
    provider BYTEA NOT NULL,
    payments BIGINT NOT NULL CHECK (payments >= 0),
    volume BIGINT NOT NULL CHECK (volume >= 0),
    fees BIGINT NOT NULL CHECK (fees >= 0),
    failed BIGINT NOT NULL CHECK (failed >= 0),
    refunds BIGINT NOT NULL CHECK (refunds >= 0),
    refunded BIGINT NOT NULL CHECK (refunded >= 0),
    refunds_failed BIGINT NOT NULL CHECK (refunds_failed >= 0),
    returned BIGINT NOT NULL CHECK (returned >= 0),
    PRIMARY KEY (merchant, live, day, currency, provider)
) /* clustered */;

-- The last row of each source that is in figures. No row: none is.
CREATE TABLE figure_cursors (
    source TEXT PRIMARY KEY,
    id BYTEA NOT NULL
);

-- Nothing is written to it on the way of a payment that succeeds.
CREATE INDEX events_charge_failed ON events (id) WHERE type = 'charge.failed';

-- Events are removed after a while. Refusals whose event is gone already count on the day of their attempt.
INSERT INTO figures (merchant, live, day, currency, provider, payments, volume, fees, failed, refunds, refunded,
    refunds_failed, returned)
    SELECT a.merchant, a.live, a.created_at / 86400000000, a.currency, a.provider, 0, 0, 0, COUNT(*), 0, 0, 0, 0
    FROM attempts a WHERE a.status = 'failed' AND a.decline LIKE '%"reached_issuer":true%'
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.object = a.id AND e.type = 'charge.failed')
    GROUP BY a.merchant, a.live, a.created_at / 86400000000, a.currency, a.provider;
