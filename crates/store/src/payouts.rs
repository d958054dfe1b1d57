use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::id::PayoutId;
use domain::payout::{Payout, PayoutStatus};
use domain::scope::Scope;

const COLUMNS: &str = "id, merchant, live, storefront, provider, amount, fee, currency, status, call, destination, \
    description, failure_code, failure_message, journal, closing_journal, metadata, clock, arrival_date, created_at";

const TABLE: Table = Table { name: "payouts", columns: COLUMNS, id: "id", order: Order::Created };

fn payout(row: &mut Row<'_>) -> Result<Payout, StoreError> {
    Ok(Payout {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        storefront: row.next()?,
        provider: row.next()?,
        amount: row.next()?,
        fee: row.next()?,
        currency: row.next()?,
        status: row.next()?,
        call: row.next()?,
        destination: row.next::<Json<_>>()?.0,
        description: row.next()?,
        failure_code: row.next()?,
        failure_message: row.next()?,
        journal: row.next()?,
        closing_journal: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        clock: row.next()?,
        arrival_date: row.next()?,
        created_at: row.next()?,
    })
}

/// Writes a new payout. `account` is the sealed account number.
pub fn insert(tx: &mut Tx<'_>, p: &Payout, account: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO payouts (id, merchant, live, storefront, provider, amount, fee, currency, status, call, \
         destination, account, description, failure_code, failure_message, journal, closing_journal, metadata, clock, \
         arrival_date, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
         ?18, ?19, ?20, ?21)",
        params![
            p.id,
            p.scope.merchant,
            p.scope.mode,
            p.storefront,
            p.provider,
            p.amount,
            p.fee,
            p.currency,
            p.status,
            p.call,
            json(&p.destination)?,
            *account,
            p.description,
            p.failure_code,
            p.failure_message,
            p.journal,
            p.closing_journal,
            json(&p.metadata)?,
            p.clock,
            p.arrival_date,
            p.created_at,
        ],
    )?;
    Ok(())
}

/// Writes everything about a payout that can change. The caller holds its row lock.
pub fn update(tx: &mut Tx<'_>, p: &Payout) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE payouts SET status = ?1, call = ?2, failure_code = ?3, failure_message = ?4, closing_journal = ?5, \
         metadata = ?6, arrival_date = ?7 WHERE id = ?8",
        params![
            p.status,
            p.call,
            p.failure_code,
            p.failure_message,
            p.closing_journal,
            json(&p.metadata)?,
            p.arrival_date,
            p.id
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("payout {} was not updated", p.id))) }
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: PayoutId) -> Result<Option<Payout>, StoreError> {
    let sql = select(COLUMNS, "payouts WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], payout)
}

/// Reads a payout and locks its row until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, scope: Scope, id: PayoutId) -> Result<Option<Payout>, StoreError> {
    let sql = select(COLUMNS, "payouts WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], payout)
}

/// The sealed account number of a payout.
pub fn account(tx: &mut Tx<'_>, scope: Scope, id: PayoutId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT account FROM payouts WHERE id = ?1 AND merchant = ?2 AND live = ?3";
    tx.opt(sql, params![id, scope.merchant, scope.mode], |r| r.next())
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    status: Option<PayoutStatus>,
    query: &PageQuery,
) -> Listed<Payout> {
    let filters: Vec<_> = status.as_ref().map(|s| ("status", s.param())).into_iter().collect();
    page::list(tx, &TABLE, scope, &filters, query, payout)
}
