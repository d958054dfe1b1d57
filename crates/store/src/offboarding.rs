//! What an organisation that leaves still has, and what is taken from it at the end.

use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;
use domain::currency::Currency;
use domain::id::MerchantId;
use domain::ledger::AccountKind;
use domain::offboarding::{Blocker, Offboarding};
use domain::time::Timestamp;

/// Rows of one kind are counted so far.
const COUNTED_MAX: i64 = 100_000;

/// Kinds of objects by their names, and where their rows are.
const COUNTED: &[(&str, &str)] = &[
    ("sites", "storefronts WHERE merchant = ?1"),
    ("providers", "providers WHERE merchant = ?1 AND deleted_at IS NULL"),
    ("apiKeys", "admin_keys WHERE merchant = ?1 AND revoked_at IS NULL"),
    ("restKeys", "api_keys WHERE merchant = ?1 AND revoked_at IS NULL"),
    ("serviceTokens", "gate_tokens WHERE merchant = ?1 AND revoked_at IS NULL"),
    ("webhookEndpoints", "webhook_endpoints WHERE merchant = ?1 AND kind <> 'direct' AND status = 'enabled'"),
    ("members", "memberships WHERE merchant = ?1"),
    ("clients", "customers WHERE merchant = ?1 AND deleted = 0"),
    ("openCheckouts", "checkouts WHERE merchant = ?1 AND open = 1"),
    ("transactions", "attempts WHERE merchant = ?1 AND hidden_at IS NULL"),
];

/// How many of each kind there are, up to [`COUNTED_MAX`]. Rows that do not count are read all the same: for a read,
/// and rarely.
pub fn counts(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<Vec<(&'static str, i64)>, StoreError> {
    let count = |tx: &mut Tx<'_>, rows: &str| {
        let sql = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT {COUNTED_MAX}) AS counted");
        tx.one(&sql, params![merchant], |r| r.next())
    };
    COUNTED.iter().map(|(name, rows)| Ok((*name, count(tx, rows)?))).collect()
}

/// Live accounts of a merchant that are not empty.
pub fn balances(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<Vec<Blocker>, StoreError> {
    let rows: Vec<(AccountKind, Currency, i64)> = tx.all(
        "SELECT a.kind, a.currency, CAST(a.folded_credit - a.folded_debit - COALESCE((SELECT SUM(d.amount) \
         FROM account_deltas d WHERE d.account = a.id), 0) AS BIGINT) FROM ledger_accounts a \
         WHERE a.merchant = ?1 AND a.live = 1 AND a.kind IN ('merchant_pending', 'merchant_available', \
         'refund_transit', 'payout_transit') ORDER BY a.kind, a.currency",
        params![merchant],
        |r| Ok((r.next()?, r.next()?, r.next()?)),
    )?;
    let held = rows.into_iter().filter(|(.., amount)| *amount != 0);
    Ok(held.map(|(kind, currency, amount)| Blocker::Balance { account: kind, currency, amount }).collect())
}

/// Live payments of a merchant that may still take money. Reads all of them: for a read, never within the writer.
pub fn open_payments(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<Option<Blocker>, StoreError> {
    let count = tx.one(
        "SELECT COUNT(*) FROM payments WHERE merchant = ?1 AND live = 1 \
         AND (status IN ('processing', 'requires_action', 'requires_capture') OR op_kind IS NOT NULL)",
        params![merchant],
        |r| r.next(),
    )?;
    Ok((count > 0).then_some(Blocker::OpenPayments { count }))
}

/// Writes an organisation's way out, or that it stays. The caller holds the lock of its row.
pub fn set(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    offboarding: Option<&Offboarding>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE merchants SET offboarding_at = ?1, offboards_at = ?2, offboarding_reason = ?3, \
         offboarding_accepts = ?4, closed_at = ?5 WHERE id = ?6",
        params![
            offboarding.map(|o| o.started_at),
            offboarding.map(|o| o.ends_at),
            offboarding.and_then(|o| o.reason.as_deref()),
            offboarding.is_some_and(|o| o.accepts_balances),
            offboarding.and_then(|o| o.closed_at),
            merchant,
        ],
    )?;
    Ok(())
}

/// Those whose time of grace is over, the longest first.
pub fn due(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<MerchantId>, StoreError> {
    let sql = "SELECT id FROM merchants WHERE offboards_at <= ?1 AND closed_at IS NULL ORDER BY offboards_at LIMIT ?2";
    tx.all(sql, params![now, limit], |r| r.next())
}

/// Takes from an organisation whatever opens something: keys, secrets of providers, members, invitations, webhooks.
/// What it did stays.
pub fn close(tx: &mut Tx<'_>, merchant: MerchantId, now: Timestamp) -> Result<(), StoreError> {
    for sql in [
        "UPDATE admin_keys SET revoked_at = ?1, old_digest = NULL, old_until = NULL WHERE merchant = ?2 AND revoked_at IS NULL",
        "UPDATE api_keys SET revoked_at = ?1 WHERE merchant = ?2 AND revoked_at IS NULL",
        "UPDATE gate_tokens SET revoked_at = ?1 WHERE merchant = ?2 AND revoked_at IS NULL",
        "UPDATE invites SET closed_at = ?1 WHERE merchant = ?2 AND closed_at IS NULL",
        "UPDATE providers SET deleted_at = ?1, enabled = 0, credentials = NULL, shown = '[]' WHERE merchant = ?2 \
         AND deleted_at IS NULL",
    ] {
        tx.execute(sql, params![now, merchant])?;
    }
    for sql in [
        "DELETE FROM memberships WHERE merchant = ?1",
        "UPDATE webhook_endpoints SET status = 'disabled', disabled_reason = 'the account was closed' \
         WHERE merchant = ?1 AND kind <> 'direct' AND status = 'enabled'",
    ] {
        tx.execute(sql, params![merchant])?;
    }
    Ok(())
}
