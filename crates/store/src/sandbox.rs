//! The sandbox provider's own books. Only the sandbox connector reads them.

use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::text_enum;
use domain::time::Timestamp;

text_enum! {
    pub enum ChargeState {
        Challenged = "challenged",
        Pending = "pending",
        Authorised = "authorised",
        Captured = "captured",
        Voided = "voided",
        Declined = "declined",
    }
}

/// What the sandbox knows of one attempt.
#[derive(Clone, Debug)]
pub struct SandboxCharge {
    /// Our attempt id: its idempotency key for everything about this charge.
    pub attempt: String,
    pub token: String,
    pub amount: i64,
    pub currency: String,
    pub state: ChargeState,
    pub captured: i64,
    pub refunded: i64,
    pub decline: Option<String>,
    pub settles_at: Option<Timestamp>,
    /// The payer was asked to authenticate.
    pub challenged: bool,
    /// How often the attempt was submitted; more than one is a repetition that charged nobody again.
    pub calls: i64,
}

fn charge(row: &mut Row<'_>) -> Result<SandboxCharge, StoreError> {
    Ok(SandboxCharge {
        attempt: row.next()?,
        token: row.next()?,
        amount: row.next()?,
        currency: row.next()?,
        state: {
            let text: String = row.next()?;
            ChargeState::parse(&text)
                .ok_or_else(|| StoreError::Defect(format!("unknown sandbox state {text:?}")))?
        },
        captured: row.next()?,
        refunded: row.next()?,
        decline: row.next()?,
        settles_at: row.next()?,
        challenged: row.next()?,
        calls: row.next()?,
    })
}

const COLUMNS: &str =
    "attempt, token, amount, currency, state, captured, refunded, decline, settles_at, challenged, calls";

/// Records a charge, or counts one more call for a charge that is known; true when it is new.
pub fn submit(tx: &mut Tx<'_>, c: &SandboxCharge) -> Result<bool, StoreError> {
    let new = tx.execute(
        "INSERT INTO sandbox_charges (attempt, token, amount, currency, state, captured, refunded, decline, \
         settles_at, challenged, calls) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1) ON CONFLICT (attempt) DO NOTHING",
        params![
            c.attempt,
            c.token,
            c.amount,
            c.currency,
            c.state.as_str(),
            c.captured,
            c.refunded,
            c.decline,
            c.settles_at,
            c.challenged
        ],
    )?;
    if new == 0 {
        tx.execute("UPDATE sandbox_charges SET calls = calls + 1 WHERE attempt = ?1", params![c.attempt])?;
    }
    Ok(new == 1)
}

/// Reads a charge and locks its row until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, attempt: &str) -> Result<Option<SandboxCharge>, StoreError> {
    let rest = "sandbox_charges WHERE attempt = ?1 /* for update */";
    tx.opt(&crate::page::select(COLUMNS, rest), params![attempt], charge)
}

pub fn get(tx: &mut Tx<'_>, attempt: &str) -> Result<Option<SandboxCharge>, StoreError> {
    tx.opt(&crate::page::select(COLUMNS, "sandbox_charges WHERE attempt = ?1"), params![attempt], charge)
}

pub fn update(tx: &mut Tx<'_>, c: &SandboxCharge) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sandbox_charges SET amount = ?1, state = ?2, captured = ?3, refunded = ?4, decline = ?5, \
         settles_at = ?6 WHERE attempt = ?7",
        params![c.amount, c.state.as_str(), c.captured, c.refunded, c.decline, c.settles_at, c.attempt],
    )?;
    Ok(())
}

/// State of a refund that the sandbox was asked for.
pub fn refund_state(tx: &mut Tx<'_>, refund: &str) -> Result<Option<String>, StoreError> {
    tx.opt("SELECT state FROM sandbox_refunds WHERE refund = ?1", params![refund], |r| r.next())
}

pub fn insert_refund(
    tx: &mut Tx<'_>,
    refund: &str,
    attempt: &str,
    amount: i64,
    state: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sandbox_refunds (refund, attempt, amount, state) VALUES (?1, ?2, ?3, ?4)",
        params![refund, attempt, amount, state],
    )?;
    Ok(())
}

/// Every charge, for tests that compare the provider's books with ours.
pub fn all_charges(tx: &mut Tx<'_>) -> Result<Vec<SandboxCharge>, StoreError> {
    tx.all(&crate::page::select(COLUMNS, "sandbox_charges ORDER BY attempt"), &[], charge)
}
