-- Payouts of a merchant's available balance to bank accounts.
-- account: the sealed account number; destination holds what of it may be shown. fee comes on top of
-- amount. closing_journal: the journal of its end, paid or put back.
CREATE TABLE payouts (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    storefront BYTEA NOT NULL,
    provider BYTEA NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    fee BIGINT NOT NULL CHECK (fee >= 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    call TEXT,
    destination TEXT NOT NULL,
    account BYTEA NOT NULL,
    description TEXT,
    failure_code TEXT,
    failure_message TEXT,
    journal BYTEA NOT NULL,
    closing_journal BYTEA,
    metadata TEXT NOT NULL,
    clock BYTEA,
    arrival_date BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CHECK ((closing_journal IS NULL) = (status IN ('pending', 'in_transit')))
);
CREATE INDEX payouts_newest ON payouts (merchant, live, created_at, id);
CREATE INDEX payouts_by_clock ON payouts (clock) WHERE clock IS NOT NULL;

-- The sandbox provider's own books: a witness that nobody was paid twice. paid: what really went out.
CREATE TABLE sandbox_payouts (
    payout TEXT PRIMARY KEY,
    script TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    paid BIGINT NOT NULL,
    settles_at BIGINT,
    calls BIGINT NOT NULL
);

-- A missing rule is an error, so the standard group gets one: payouts are free until the operator says
-- otherwise.
INSERT INTO fee_rules (fee_group, operation, fixed, basis_points, base, rounding)
    SELECT g.id, 'payout', 0, 0, 'total', 'half_up' FROM fee_groups g
    WHERE g.name = 'standard' AND NOT EXISTS (SELECT 1 FROM fee_rules r
        WHERE r.fee_group = g.id AND r.operation = 'payout' AND r.currency IS NULL);
