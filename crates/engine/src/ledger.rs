//! Upkeep of the books: folding, sealing, and the proof.

use crate::Engine;
use crate::error::Error;
use domain::limits::BULK_ROWS;
use domain::time::{MICROS, Timestamp};
use store::ledger_verify::Check;

const SEALER: &str = "sealer";
const LEASE_US: i64 = 30 * MICROS;

impl Engine {
    /// Folds open deltas of the account that has most, if it has many. How many. The account is found in
    /// a read, since that looks at all of them.
    pub async fn fold_balances(&self) -> Result<usize, Error> {
        let account =
            self.store.read(|tx| Ok::<_, Error>(store::ledger::account_to_fold(tx, BULK_ROWS)?)).await?;
        let Some(account) = account else { return Ok(0) };
        self.store.write(move |tx| Ok::<_, Error>(store::ledger::fold(tx, account, BULK_ROWS)?)).await
    }

    /// Seals journals made before `mark`, if this node holds the sealer's lease. How many.
    pub async fn seal_journals(&self, mark: Timestamp) -> Result<usize, Error> {
        let node = self.node;
        self.store
            .write(move |tx| {
                let now = crate::wall_clock();
                if !store::jobs::lease(tx, SEALER, node, now, now.plus(LEASE_US))? {
                    return Ok(0);
                }
                Ok::<_, Error>(store::ledger::seal(tx, mark, BULK_ROWS)?)
            })
            .await
    }

    /// Rechecks every invariant of the books from the rows.
    pub async fn verify_ledger(&self) -> Result<Vec<Check>, Error> {
        verify(&self.store).await
    }
}

/// The same without an engine: for the command, which needs no keys.
pub async fn verify(store: &store::Store) -> Result<Vec<Check>, Error> {
    store.read(|tx| Ok::<_, Error>(store::ledger_verify::verify(tx)?)).await
}
