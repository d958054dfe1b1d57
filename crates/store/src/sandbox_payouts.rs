//! The sandbox provider's own books of payouts. Only the sandbox connector reads them.

use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::text_enum;
use domain::time::Timestamp;

text_enum! {
    pub enum SandboxPayoutState {
        /// The request was lost on its way: the provider behaves as if it had never come.
        Lost = "lost",
        /// Accepted; can be canceled until it settles.
        Accepted = "accepted",
        InTransit = "in_transit",
        Paid = "paid",
        Failed = "failed",
        Canceled = "canceled",
    }
}

/// What the sandbox knows of one payout.
#[derive(Clone, Debug)]
pub struct SandboxPayout {
    /// Our payout id: its idempotency key for everything about this payout.
    pub payout: String,
    /// Which test account it goes to, by the name of what that account does.
    pub script: String,
    pub amount: i64,
    pub currency: String,
    pub state: SandboxPayoutState,
    /// The code of the failure that it ends with, now or when it settles.
    pub failure: Option<String>,
    /// What really went out, in minor units: twice the amount would be a double payment.
    pub paid: i64,
    pub settles_at: Option<Timestamp>,
    /// How often it was sent; more than one is a repetition that paid nobody again.
    pub calls: i64,
}

const COLUMNS: &str = "payout, script, amount, currency, state, failure, paid, settles_at, calls";

fn payout(row: &mut Row<'_>) -> Result<SandboxPayout, StoreError> {
    Ok(SandboxPayout {
        payout: row.next()?,
        script: row.next()?,
        amount: row.next()?,
        currency: row.next()?,
        state: {
            let text: String = row.next()?;
            SandboxPayoutState::parse(&text)
                .ok_or_else(|| StoreError::Defect(format!("unknown sandbox state {text:?}")))?
        },
        failure: row.next()?,
        paid: row.next()?,
        settles_at: row.next()?,
        calls: row.next()?,
    })
}

/// Records a payout, or counts one more call for one that is known; as it is stored then, under its lock.
pub fn submit(tx: &mut Tx<'_>, p: &SandboxPayout) -> Result<SandboxPayout, StoreError> {
    tx.execute(
        "INSERT INTO sandbox_payouts (payout, script, amount, currency, state, failure, paid, settles_at, calls) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0) ON CONFLICT (payout) DO NOTHING",
        params![p.payout, p.script, p.amount, p.currency, p.state.as_str(), p.failure, p.paid, p.settles_at],
    )?;
    tx.execute("UPDATE sandbox_payouts SET calls = calls + 1 WHERE payout = ?1", params![p.payout])?;
    lock(tx, &p.payout)?.ok_or_else(|| StoreError::Defect("the sandbox lost a payout".to_owned()))
}

/// Reads a payout and locks its row until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, id: &str) -> Result<Option<SandboxPayout>, StoreError> {
    let rest = "sandbox_payouts WHERE payout = ?1 /* for update */";
    tx.opt(&crate::page::select(COLUMNS, rest), params![id], payout)
}

pub fn update(tx: &mut Tx<'_>, p: &SandboxPayout) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sandbox_payouts SET state = ?1, failure = ?2, paid = ?3, settles_at = ?4 WHERE payout = ?5",
        params![p.state.as_str(), p.failure, p.paid, p.settles_at, p.payout],
    )?;
    Ok(())
}

/// Every payout, for tests that compare the provider's books with ours.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<SandboxPayout>, StoreError> {
    tx.all(&crate::page::select(COLUMNS, "sandbox_payouts ORDER BY payout"), &[], payout)
}
