-- offboarding_at: since when the organisation only reads. offboards_at: when it is closed; closed_at: that it was.
ALTER TABLE merchants ADD COLUMN offboarding_at BIGINT;
ALTER TABLE merchants ADD COLUMN offboards_at BIGINT;
ALTER TABLE merchants ADD COLUMN offboarding_reason TEXT;
-- offboarding_accepts: live balances that are not zero hold it up no more.
ALTER TABLE merchants ADD COLUMN offboarding_accepts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE merchants ADD COLUMN closed_at BIGINT;
CREATE INDEX merchants_offboarding ON merchants (offboards_at) WHERE offboards_at IS NOT NULL AND closed_at IS NULL;

-- What an organisation calls its orders by, where that is the number of an invoice.
CREATE INDEX site_checkouts_by_invoice ON site_checkouts (merchant, live, invoice_number, payment)
    WHERE invoice_number IS NOT NULL;
