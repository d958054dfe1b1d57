-- What the Admin API adds: keys with scopes, sites (a facet of storefronts), providers with credentials, and
-- what its checkouts and transactions have beside payments and attempts.

-- merchant NULL: a key of the whole instance. digest: SHA-256 of the secret half; the half itself is shown once.
-- old_digest: what was rotated out and still works until old_until.
CREATE TABLE admin_keys (
    id BYTEA PRIMARY KEY,
    merchant BYTEA,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    name TEXT NOT NULL,
    grants TEXT NOT NULL,
    networks TEXT NOT NULL,
    digest BYTEA NOT NULL,
    last4 TEXT NOT NULL,
    old_digest BYTEA,
    old_until BIGINT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX admin_keys_by_merchant ON admin_keys (merchant, live, id);
CREATE INDEX admin_keys_rotated ON admin_keys (old_until) WHERE old_until IS NOT NULL;

-- providers: which of the merchant's providers payers are offered, in order; none: all that are enabled.
-- webhook_secret: sealed; made when first needed. ipn_version: 1 or 2.
CREATE TABLE sites (
    storefront BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    branding TEXT NOT NULL,
    providers TEXT NOT NULL,
    default_provider BYTEA,
    webhook_secret BYTEA,
    ipn_version BIGINT NOT NULL CHECK (ipn_version IN (1, 2)),
    deleted_at BIGINT
);
INSERT INTO sites (storefront, merchant, live, branding, providers, ipn_version)
    SELECT id, merchant, live, '{}', '[]', 1 FROM storefronts;
CREATE INDEX sites_by_merchant ON sites (merchant, live, storefront);

-- credentials: sealed. shown: what of them may be read back.
ALTER TABLE providers ADD COLUMN credentials BYTEA;
ALTER TABLE providers ADD COLUMN shown TEXT NOT NULL DEFAULT '[]';
ALTER TABLE providers ADD COLUMN checked_at BIGINT;
ALTER TABLE providers ADD COLUMN check_error TEXT;
ALTER TABLE providers ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE providers ADD COLUMN deleted_at BIGINT;

-- Lists of checkouts, newest first: ids are time-ordered.
CREATE INDEX checkouts_newest ON checkouts (merchant, live, payment);

-- What a checkout made over the Admin API has beside its page.
CREATE TABLE site_checkouts (
    payment BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    external_reference TEXT,
    invoice_number TEXT,
    items TEXT NOT NULL,
    billing TEXT,
    shipping TEXT,
    ipn_url TEXT,
    ipn_version BIGINT NOT NULL
);
CREATE INDEX site_checkouts_by_reference ON site_checkouts (merchant, live, external_reference, payment)
    WHERE external_reference IS NOT NULL;

-- What the shop was last told of a transaction: an attempt, or a payment that ended without one. version counts
-- what it was told.
CREATE TABLE site_transactions (
    object BYTEA PRIMARY KEY,
    payment BYTEA NOT NULL,
    status TEXT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX site_transactions_by_payment ON site_transactions (payment);

-- The payer has left for the provider's own page.
ALTER TABLE attempts ADD COLUMN redirected BIGINT NOT NULL DEFAULT 0;

-- What the Admin API keeps of a client beside the customer. deleted 1: gone for every surface; its payments keep
-- the id.
ALTER TABLE customers ADD COLUMN client TEXT NOT NULL DEFAULT '{}';
ALTER TABLE customers ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE customers ADD COLUMN deleted BIGINT NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));

-- The history of one object.
CREATE INDEX audit_log_by_subject ON audit_log (subject, id) WHERE subject IS NOT NULL;

-- What is set by groups for a merchant in one mode; all zeros as the merchant: for the whole instance.
CREATE TABLE settings_groups (
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (merchant, live, name)
) /* clustered */;
