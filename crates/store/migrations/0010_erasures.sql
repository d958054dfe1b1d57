-- Customers that are being erased, or were. texts: sealed; by what the person is known, until nothing is left to look
-- through. payment, payment_at: the last payment that was looked through. again 1: this pass met something that was not
-- ended or could not be read, so another one must follow.
CREATE TABLE erasures (
    customer BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL,
    live BIGINT NOT NULL CHECK (live IN (0, 1)),
    texts BYTEA,
    payment BYTEA,
    payment_at BIGINT,
    again BIGINT NOT NULL CHECK (again IN (0, 1)),
    begun_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- Whose saved method it was before it was detached.
ALTER TABLE payment_methods ADD COLUMN former_customer BYTEA;
CREATE INDEX payment_methods_by_former ON payment_methods (former_customer) WHERE former_customer IS NOT NULL;

-- What of Gate has a payer and no payment by which it could be found.
CREATE INDEX gate_transactions_by_payer ON gate_transactions (customer) WHERE payment IS NULL;
