-- Ids are 12 bytes, time ordered. Instants are UTC microseconds. Amounts are minor units.
-- live: 0 test, 1 live. Texts that the program reads as a fixed list are checked by the program.

-- Facts about this database itself, such as which sealing key it belongs to.
CREATE TABLE instance_facts (
    name TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

CREATE TABLE merchants (
    id BYTEA PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE fee_groups (
    id BYTEA PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- currency NULL: any currency without a rule of its own.
CREATE TABLE fee_rules (
    fee_group BYTEA NOT NULL,
    operation TEXT NOT NULL,
    currency TEXT,
    fixed BIGINT NOT NULL CHECK (fixed >= 0),
    basis_points BIGINT NOT NULL CHECK (basis_points >= 0 AND basis_points <= 10000),
    base TEXT NOT NULL,
    min BIGINT,
    max BIGINT,
    rounding TEXT NOT NULL
);
CREATE UNIQUE INDEX fee_rules_one ON fee_rules (fee_group, operation, COALESCE(currency, ''));

CREATE TABLE merchant_modes (
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    storefront BYTEA NOT NULL,
    tier TEXT NOT NULL,
    fee_group BYTEA NOT NULL,
    settlement_delay BIGINT NOT NULL CHECK (settlement_delay >= 0),
    refunds_below_zero BIGINT NOT NULL,
    PRIMARY KEY (merchant, live)
) /* clustered */;

CREATE TABLE storefronts (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE providers (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    connector TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX providers_by_merchant ON providers (merchant, live);

-- digest: SHA-256 of the whole key; the key itself is shown once and kept nowhere.
CREATE TABLE api_keys (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    kind TEXT NOT NULL,
    digest BYTEA NOT NULL UNIQUE,
    last4 TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_keys_by_merchant ON api_keys (merchant, live);

CREATE TABLE test_clocks (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live = 0),
    name TEXT,
    status TEXT NOT NULL,
    frozen_time BIGINT NOT NULL,
    target BIGINT,
    created_at BIGINT NOT NULL,
    deletes_after BIGINT NOT NULL
);
CREATE INDEX test_clocks_by_merchant ON test_clocks (merchant, created_at, id);
CREATE INDEX test_clocks_advancing ON test_clocks (id) WHERE status = 'advancing';

CREATE TABLE customers (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    email TEXT,
    name TEXT,
    phone TEXT,
    description TEXT,
    address TEXT,
    shipping TEXT,
    preferred_locales TEXT NOT NULL,
    default_payment_method BYTEA,
    metadata TEXT NOT NULL,
    clock BYTEA,
    created_at BIGINT NOT NULL
);
CREATE INDEX customers_newest ON customers (merchant, live, created_at, id);
CREATE INDEX customers_by_email ON customers (merchant, live, email, created_at, id) WHERE email IS NOT NULL;
CREATE INDEX customers_by_clock ON customers (clock) WHERE clock IS NOT NULL;

CREATE TABLE payment_methods (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    kind TEXT NOT NULL,
    facts TEXT NOT NULL,
    billing TEXT NOT NULL,
    customer BYTEA,
    provider_token TEXT NOT NULL,
    used_up BIGINT NOT NULL,
    -- The attempt that used it up; it is given back if that one fails.
    used_by BYTEA,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX payment_methods_newest ON payment_methods (merchant, live, created_at, id);
CREATE INDEX payment_methods_by_customer ON payment_methods (customer, created_at, id) WHERE customer IS NOT NULL;

CREATE TABLE payments (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    storefront BYTEA NOT NULL,
    provider BYTEA,
    amount BIGINT NOT NULL CHECK (amount > 0),
    surcharge BIGINT NOT NULL CHECK (surcharge >= 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    op_kind TEXT,
    op_amount BIGINT,
    op_fee BIGINT,
    capture_method TEXT NOT NULL,
    payment_method BYTEA,
    customer BYTEA,
    client_secret TEXT NOT NULL,
    amount_capturable BIGINT NOT NULL CHECK (amount_capturable >= 0),
    amount_received BIGINT NOT NULL CHECK (amount_received >= 0),
    amount_refunded BIGINT NOT NULL CHECK (amount_refunded >= 0 AND amount_refunded <= amount_received),
    pending_balance BIGINT NOT NULL CHECK (pending_balance >= 0),
    fee BIGINT NOT NULL CHECK (fee >= 0),
    refund_shortfall BIGINT NOT NULL CHECK (refund_shortfall >= 0),
    available_on BIGINT,
    capture_before BIGINT,
    last_error TEXT,
    latest_attempt BYTEA,
    latest_charge BYTEA,
    attempts BIGINT NOT NULL,
    next_action TEXT,
    details TEXT NOT NULL,
    metadata TEXT NOT NULL,
    canceled_at BIGINT,
    cancellation_reason TEXT,
    clock BYTEA,
    created_at BIGINT NOT NULL,
    CHECK (amount_received <= amount + surcharge)
);
CREATE INDEX payments_newest ON payments (merchant, live, created_at, id);
CREATE INDEX payments_by_customer ON payments (customer, created_at, id) WHERE customer IS NOT NULL;
CREATE INDEX payments_to_settle ON payments (available_on, id) WHERE pending_balance > 0 AND clock IS NULL;
CREATE INDEX payments_to_expire ON payments (capture_before, id) WHERE capture_before IS NOT NULL AND clock IS NULL;
CREATE INDEX payments_by_clock ON payments (clock, id) WHERE clock IS NOT NULL;

CREATE TABLE attempts (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    payment BYTEA NOT NULL,
    provider BYTEA NOT NULL,
    status TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    amount_captured BIGINT NOT NULL CHECK (amount_captured >= 0 AND amount_captured <= amount),
    amount_refunded BIGINT NOT NULL CHECK (amount_refunded >= 0 AND amount_refunded <= amount_captured),
    fee BIGINT NOT NULL,
    payment_method BYTEA NOT NULL,
    method TEXT NOT NULL,
    billing TEXT NOT NULL,
    decline TEXT,
    risk TEXT NOT NULL,
    authenticated TEXT,
    listed BIGINT NOT NULL,
    journal BYTEA,
    clock BYTEA,
    created_at BIGINT NOT NULL
);
CREATE INDEX attempts_newest ON attempts (merchant, live, created_at, id);
CREATE INDEX attempts_by_payment ON attempts (payment, created_at, id);

-- code: the capability in the page's address; used once.
CREATE TABLE challenges (
    code TEXT PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    payment BYTEA NOT NULL,
    attempt BYTEA NOT NULL,
    return_url TEXT,
    expires_at BIGINT NOT NULL,
    outcome TEXT,
    used_at BIGINT
);
CREATE INDEX challenges_open ON challenges (expires_at) WHERE used_at IS NULL;
CREATE INDEX challenges_by_attempt ON challenges (attempt);

CREATE TABLE refunds (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    payment BYTEA NOT NULL,
    attempt BYTEA NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    failure_reason TEXT,
    from_pending BIGINT NOT NULL CHECK (from_pending >= 0 AND from_pending <= amount),
    shortfall BIGINT NOT NULL CHECK (shortfall >= 0),
    journal BYTEA NOT NULL,
    failure_journal BYTEA,
    metadata TEXT NOT NULL,
    clock BYTEA,
    created_at BIGINT NOT NULL
);
CREATE INDEX refunds_newest ON refunds (merchant, live, created_at, id);
CREATE INDEX refunds_by_payment ON refunds (payment, created_at, id);

-- The ledger. entries.amount: debit positive, credit negative.
CREATE TABLE ledger_accounts (
    id BIGINT PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    owner BYTEA,
    -- Totals of all deltas folded so far; the row is also the lock under which a debit with a floor
    -- reads the balance.
    folded_debit BIGINT NOT NULL,
    folded_credit BIGINT NOT NULL
);
CREATE UNIQUE INDEX ledger_accounts_name ON ledger_accounts (merchant, live, currency, kind, COALESCE(owner, merchant));

CREATE TABLE journals (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    n BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    reverses BYTEA
) /* clustered */;
CREATE UNIQUE INDEX journals_once ON journals (object, kind, n, merchant, live);

CREATE TABLE entries (
    journal BYTEA NOT NULL,
    line BIGINT NOT NULL,
    account BIGINT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (journal, line)
) /* clustered */;

-- What of the entries is not folded into its account yet.
CREATE TABLE account_deltas (
    account BIGINT NOT NULL,
    journal BYTEA NOT NULL,
    line BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (account, journal, line)
) /* clustered */;

CREATE TABLE journal_seals (
    seq BIGINT PRIMARY KEY,
    journal BYTEA NOT NULL UNIQUE,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

CREATE TABLE balance_transactions (
    journal BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL,
    fee BIGINT NOT NULL,
    net BIGINT NOT NULL,
    source TEXT NOT NULL,
    available_on BIGINT NOT NULL,
    available BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CHECK (net = amount - fee)
);
CREATE INDEX balance_transactions_newest ON balance_transactions (merchant, live, created_at, journal);
CREATE INDEX balance_transactions_by_source ON balance_transactions (source);

-- A frozen view of an object, shared by the events of one commit.
CREATE TABLE snapshots (
    id BYTEA PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE events (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    type TEXT NOT NULL,
    object BYTEA NOT NULL,
    snapshot BYTEA NOT NULL,
    request TEXT,
    idempotency_key TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX events_newest ON events (merchant, live, id);
CREATE INDEX events_by_object ON events (object);

-- secret and old_secret are sealed.
CREATE TABLE webhook_endpoints (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    url TEXT NOT NULL,
    enabled_events TEXT NOT NULL,
    status TEXT NOT NULL,
    disabled_reason TEXT,
    description TEXT,
    api_version TEXT,
    metadata TEXT NOT NULL,
    secret BYTEA NOT NULL,
    old_secret BYTEA,
    old_secret_until BIGINT,
    failing_since BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_by_merchant ON webhook_endpoints (merchant, live, created_at, id);

-- claimed_until: the lease of the worker that is sending it.
CREATE TABLE deliveries (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    event BYTEA NOT NULL,
    endpoint BYTEA NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- Attempts made when it was last sent again by hand: the schedule of retries begins anew there.
    resent_from BIGINT,
    due_at BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    body BYTEA,
    created_at BIGINT NOT NULL
);
-- In the order in which they are claimed: first attempts ahead of retries.
CREATE INDEX deliveries_due ON deliveries (endpoint, (CASE WHEN attempts = 0 THEN 0 ELSE 1 END), due_at, id)
    WHERE status = 'pending';
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, created_at, id);
CREATE INDEX deliveries_by_event ON deliveries (event);

CREATE TABLE delivery_attempts (
    delivery BYTEA NOT NULL,
    n BIGINT NOT NULL,
    cause TEXT NOT NULL,
    url TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    response TEXT,
    PRIMARY KEY (delivery, n)
) /* clustered */;

-- fingerprint: keyed digest of the request. reply: sealed. Neither is set while it runs.
CREATE TABLE idempotency_keys (
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    surface TEXT NOT NULL,
    reply_kind TEXT NOT NULL,
    expand TEXT NOT NULL,
    object TEXT,
    request TEXT NOT NULL,
    status BIGINT,
    reply BYTEA,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (merchant, live, key)
);
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);

-- Work that must happen although the process may die: one row per provider call in flight.
-- node: who made the call; the row is due at once when that node is gone.
CREATE TABLE jobs (
    id BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL,
    kind TEXT NOT NULL,
    object TEXT NOT NULL,
    node BYTEA,
    clock BYTEA,
    due_at BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    idempotency_key TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (due_at, id) WHERE clock IS NULL;
CREATE INDEX jobs_by_clock ON jobs (clock, due_at, id) WHERE clock IS NOT NULL;
CREATE INDEX jobs_by_object ON jobs (object);

CREATE TABLE nodes (
    id BYTEA PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder BYTEA NOT NULL,
    until BIGINT NOT NULL
);

-- The sandbox provider's own books, written in commits of its own and never read by the engine: a
-- witness that nobody was charged twice.
CREATE TABLE sandbox_charges (
    attempt TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    amount BIGINT NOT NULL,
    currency TEXT NOT NULL,
    state TEXT NOT NULL,
    captured BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    decline TEXT,
    settles_at BIGINT,
    challenged BIGINT NOT NULL,
    calls BIGINT NOT NULL
);

CREATE TABLE sandbox_refunds (
    refund TEXT PRIMARY KEY,
    attempt TEXT NOT NULL,
    amount BIGINT NOT NULL,
    state TEXT NOT NULL
);

-- Journals, their entries and seals never change once written.
-- only sqlite
CREATE TRIGGER journals_keep_u BEFORE UPDATE ON journals BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER journals_keep_d BEFORE DELETE ON journals BEGIN SELECT RAISE(ABORT, 'journals are append-only'); END;
CREATE TRIGGER entries_keep_u BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_keep_d BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER seals_keep_u BEFORE UPDATE ON journal_seals BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER seals_keep_d BEFORE DELETE ON journal_seals BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
-- end
-- only postgres
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER journals_keep BEFORE UPDATE OR DELETE ON journals FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER entries_keep BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER seals_keep BEFORE UPDATE OR DELETE ON journal_seals FOR EACH ROW EXECUTE FUNCTION append_only();
-- end
