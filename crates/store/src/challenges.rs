use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;
use domain::id::{AttemptId, PaymentId};
use domain::scope::Scope;
use domain::time::Timestamp;

/// A payer's appointment to prove who they are; good for one answer.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// At least 128 random bits; whoever knows it may answer.
    pub code: String,
    pub scope: Scope,
    pub payment: PaymentId,
    pub attempt: AttemptId,
    pub return_url: Option<String>,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
    pub outcome: Option<String>,
}

pub fn insert(tx: &mut Tx<'_>, c: &Challenge) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO challenges (code, merchant, live, payment, attempt, return_url, expires_at, outcome, used_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, NULL)",
        params![c.code, c.scope.merchant, c.scope.mode, c.payment, c.attempt, c.return_url, c.expires_at],
    )?;
    Ok(())
}

const COLUMNS: &str = "code, merchant, live, payment, attempt, return_url, expires_at, used_at, outcome";

/// The challenge with this code. The code is the credential, so there is no scope to ask for.
pub fn get(tx: &mut Tx<'_>, code: &str) -> Result<Option<Challenge>, StoreError> {
    tx.opt(&crate::page::select(COLUMNS, "challenges WHERE code = ?1"), params![code], challenge)
}

fn challenge(r: &mut crate::tx::Row<'_>) -> Result<Challenge, StoreError> {
    Ok(Challenge {
        code: r.next()?,
        scope: Scope { merchant: r.next()?, mode: r.next()? },
        payment: r.next()?,
        attempt: r.next()?,
        return_url: r.next()?,
        expires_at: r.next()?,
        used_at: r.next()?,
        outcome: r.next()?,
    })
}

/// Uses a challenge up. False when somebody else did: exactly one answer counts.
pub fn use_up(tx: &mut Tx<'_>, code: &str, outcome: &str, now: Timestamp) -> Result<bool, StoreError> {
    let used = tx.execute(
        "UPDATE challenges SET used_at = ?1, outcome = ?2 WHERE code = ?3 AND used_at IS NULL",
        params![now, outcome, code],
    )?;
    Ok(used == 1)
}

/// Open challenges whose time is over.
pub fn lapsed(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<Vec<Challenge>, StoreError> {
    let rest = "challenges WHERE used_at IS NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2";
    tx.all(&crate::page::select(COLUMNS, rest), params![now, limit], challenge)
}

/// The newest challenge of an attempt.
pub fn of_attempt(tx: &mut Tx<'_>, attempt: AttemptId) -> Result<Option<Challenge>, StoreError> {
    let rest = "challenges WHERE attempt = ?1 ORDER BY expires_at DESC LIMIT 1";
    tx.opt(&crate::page::select(COLUMNS, rest), params![attempt], challenge)
}

/// Closes the open challenge of an attempt that is given up.
pub fn close_of_attempt(tx: &mut Tx<'_>, attempt: AttemptId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE challenges SET used_at = ?1, outcome = 'closed' WHERE attempt = ?2 AND used_at IS NULL",
        params![now, attempt],
    )?;
    Ok(())
}
