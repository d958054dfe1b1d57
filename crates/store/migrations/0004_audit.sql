-- What an operator may have to explain later. merchant, live: NULL where none is known. Details are
-- short texts and never secrets.
CREATE TABLE audit_log (
    id BYTEA PRIMARY KEY,
    merchant BYTEA,
    live BIGINT,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT,
    request TEXT,
    detail TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX audit_log_by_merchant ON audit_log (merchant, id) WHERE merchant IS NOT NULL;
CREATE INDEX audit_log_by_kind ON audit_log (kind, id);

CREATE TABLE audit_seals (
    seq BIGINT PRIMARY KEY,
    entry BYTEA NOT NULL UNIQUE,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

-- When a key that was rotated stops working.
ALTER TABLE api_keys ADD COLUMN ends_at BIGINT;
CREATE INDEX api_keys_ending ON api_keys (ends_at) WHERE ends_at IS NOT NULL AND revoked_at IS NULL;

-- The search for clocks that are kept no longer.
CREATE INDEX test_clocks_to_delete ON test_clocks (deletes_after, id);

-- only sqlite
CREATE TRIGGER audit_log_keep_u BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_keep_d BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_seals_keep_u BEFORE UPDATE ON audit_seals BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
CREATE TRIGGER audit_seals_keep_d BEFORE DELETE ON audit_seals BEGIN SELECT RAISE(ABORT, 'seals are append-only'); END;
-- end
-- only postgres
CREATE TRIGGER audit_log_keep BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_seals_keep BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_log_keep_t BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_seals_keep_t BEFORE TRUNCATE ON audit_seals FOR EACH STATEMENT EXECUTE FUNCTION append_only();
-- end
