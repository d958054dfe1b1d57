//! Payments in bulk.

use super::script::{Instance, Script};
use crate::error::StoreError;
use crate::ledger;
use crate::tx::{Param, Tx};
use domain::time::{MINUTE, Timestamp};
use std::time::{SystemTime, UNIX_EPOCH};

/// Payments that one closure may write.
pub const PRELOAD_BATCH: usize = 100;
/// Deltas folded, and journals sealed, in one statement.
const BULK: i64 = 1_000;

fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Writes up to [`PRELOAD_BATCH`] complete payments: every row that the gateway writes for one, in the
/// tables and with the sizes that it has there. The merchant's accounts must exist: let the gateway
/// make one payment first. The stored replies of these payments' idempotency keys cannot be opened,
/// since they are copies sealed for another key; nobody knows these keys.
pub fn preload(tx: &mut Tx<'_>, script: &Script, payments: usize) -> Result<(), StoreError> {
    let mut payment = Instance::new(script);
    for _ in 0..payments.min(PRELOAD_BATCH) {
        payment.renew(micros());
        for (statements, values) in script.steps.iter().zip(&payment.values) {
            for (statement, values) in statements.iter().zip(values) {
                let params: Vec<Param<'_>> = values.iter().map(super::recording::Value::param).collect();
                tx.execute(&statement.sql, &params)?;
            }
        }
    }
    Ok(())
}

/// Does what background jobs do with journals of some age: folds deltas and writes seals; true when
/// nothing was left to do. Call it while no gateway runs and nobody else writes: it seals without the
/// sealer's lease and up to the present instant.
pub fn settle_books(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let folded = match ledger::account_to_fold(tx, 1)? {
        Some(account) => ledger::fold(tx, account, BULK)?,
        None => 0,
    };
    let sealed = ledger::seal(tx, Timestamp(micros().saturating_add(MINUTE)), BULK)?;
    Ok(folded == 0 && sealed == 0)
}

/// Spreads the balance transactions of one moment over so many days before it, for figures by day. Before any
/// of them is folded.
pub fn spread_over_days(tx: &mut Tx<'_>, days: i64) -> Result<(), StoreError> {
    tx.allow_long_statements()?;
    tx.execute(
        "UPDATE balance_transactions SET created_at = created_at - 86400000000 * (available_on % ?1)",
        crate::params![days],
    )?;
    Ok(())
}
