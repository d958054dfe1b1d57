use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::bank_account::BankAccount;
use domain::currency::Currency;
use domain::id::BankAccountId;
use domain::scope::Scope;

const COLUMNS: &str = "id, merchant, live, holder, holder_type, country, currency, bank_name, swift, last4, \
    fingerprint, is_default, metadata, created_at";

const TABLE: Table = Table { name: "bank_accounts", columns: COLUMNS, id: "id", order: Order::Created };

fn bank_account(row: &mut Row<'_>) -> Result<BankAccount, StoreError> {
    Ok(BankAccount {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        holder: row.next()?,
        holder_type: row.next()?,
        country: row.next()?,
        currency: row.next()?,
        bank_name: row.next()?,
        swift: row.next()?,
        last4: row.next()?,
        fingerprint: row.next()?,
        is_default: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        created_at: row.next()?,
    })
}

/// Stores an account with its sealed number. The caller holds the lock of the scope's mode, under which it has looked
/// for the same account and for a default.
pub fn insert(tx: &mut Tx<'_>, b: &BankAccount, account: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO bank_accounts (id, merchant, live, holder, holder_type, country, currency, bank_name, swift, \
         last4, fingerprint, account, is_default, metadata, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
         ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            b.id,
            b.scope.merchant,
            b.scope.mode,
            b.holder,
            b.holder_type,
            b.country,
            b.currency,
            b.bank_name,
            b.swift,
            b.last4,
            b.fingerprint,
            *account,
            b.is_default,
            json(&b.metadata)?,
            b.created_at,
        ],
    )?;
    Ok(())
}

/// Writes what of an account can change. The caller holds the lock of the scope's mode.
pub fn update(tx: &mut Tx<'_>, b: &BankAccount) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE bank_accounts SET holder = ?1, holder_type = ?2, is_default = ?3, metadata = ?4 WHERE id = ?5",
        params![b.holder, b.holder_type, b.is_default, json(&b.metadata)?, b.id],
    )?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: BankAccountId) -> Result<Option<BankAccount>, StoreError> {
    let sql = select(COLUMNS, "bank_accounts WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], bank_account)
}

/// The sealed number of an account.
pub fn account(tx: &mut Tx<'_>, scope: Scope, id: BankAccountId) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT account FROM bank_accounts WHERE id = ?1 AND merchant = ?2 AND live = ?3";
    tx.opt(sql, params![id, scope.merchant, scope.mode], |r| r.next())
}

/// The accounts of a currency, oldest first. There are few: see `domain::limits::BANK_ACCOUNTS`.
pub fn of_currency(
    tx: &mut Tx<'_>,
    scope: Scope,
    currency: Currency,
) -> Result<Vec<BankAccount>, StoreError> {
    let rest = "bank_accounts WHERE merchant = ?1 AND live = ?2 AND currency = ?3 ORDER BY created_at, id";
    tx.all(&select(COLUMNS, rest), params![scope.merchant, scope.mode, currency], bank_account)
}

pub fn count(tx: &mut Tx<'_>, scope: Scope) -> Result<usize, StoreError> {
    let sql = "SELECT COUNT(*) FROM bank_accounts WHERE merchant = ?1 AND live = ?2";
    let count: i64 = tx.one(sql, params![scope.merchant, scope.mode], |r| r.next())?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    currency: Option<Currency>,
    query: &PageQuery,
) -> Listed<BankAccount> {
    let filters: Vec<_> = currency.as_ref().map(|c| ("currency", c.param())).into_iter().collect();
    page::list(tx, &TABLE, scope, &filters, query, bank_account)
}

/// Removes an account with its number. Payouts under way have their own copy.
pub fn delete(tx: &mut Tx<'_>, id: BankAccountId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM bank_accounts WHERE id = ?1", params![id])?;
    Ok(())
}
