-- Where a merchant's payouts go. account: the sealed number. fingerprint: keyed, to find the same account again.
CREATE TABLE bank_accounts (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    holder TEXT NOT NULL,
    holder_type TEXT,
    country TEXT,
    currency TEXT NOT NULL,
    bank_name TEXT,
    swift TEXT,
    last4 TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    account BYTEA NOT NULL,
    is_default BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX bank_accounts_newest ON bank_accounts (merchant, live, created_at, id);
CREATE UNIQUE INDEX bank_accounts_default ON bank_accounts (merchant, live, currency) WHERE is_default = 1;
CREATE UNIQUE INDEX bank_accounts_once ON bank_accounts (merchant, live, currency, fingerprint);
