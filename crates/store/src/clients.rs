//! Customers as the Admin API lists them, with what it keeps beside them.

use crate::customers;
use crate::error::StoreError;
use crate::numbered_page::{Conditions, NumberedPage, NumberedQuery, numbered};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::client::ClientFacts;
use domain::currency::Currency;
use domain::customer::Customer;
use domain::id::CustomerId;
use domain::scope::Scope;
use domain::time::Timestamp;

/// A customer with what the Admin API keeps beside it.
pub type ClientRow = (Customer, ClientFacts, Timestamp);

/// The newest clients among which a search looks: bounds what it costs.
pub const SEARCHED: i64 = 10_000;

pub(crate) fn columns() -> String {
    let own: Vec<String> = customers::COLUMNS.split(", ").map(|c| format!("c.{}", c.trim())).collect();
    format!("{}, c.client, c.updated_at", own.join(", "))
}

pub(crate) fn client(row: &mut Row<'_>) -> Result<ClientRow, StoreError> {
    let customer = customers::customer(row)?;
    Ok((customer, row.next::<Json<_>>()?.0, row.next()?))
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: CustomerId) -> Result<Option<ClientRow>, StoreError> {
    let sql = format!(
        "SELECT {} FROM customers c WHERE c.id = ?1 AND c.merchant = ?2 AND c.live = ?3 AND c.deleted = 0",
        columns()
    );
    tx.opt(&sql, params![id, scope.merchant, scope.mode], client)
}

/// Writes what only the Admin API keeps. The caller holds the customer's row lock, or has just made it.
pub fn set_facts(
    tx: &mut Tx<'_>,
    id: CustomerId,
    facts: &ClientFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE customers SET client = ?1, updated_at = ?2 WHERE id = ?3",
        params![json(facts)?, now, id],
    )?;
    Ok(())
}

/// A page of clients, newest first; of those with exactly this e-mail address if one is given.
pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    email: Option<&str>,
    query: NumberedQuery,
) -> Result<NumberedPage<ClientRow>, StoreError> {
    let mut conditions = Conditions::new();
    conditions.and("c.merchant =", scope.merchant.param());
    conditions.and("c.live =", scope.mode.param());
    conditions.and_plain("c.deleted = 0");
    if let Some(email) = &email {
        conditions.and("c.email =", email.param());
    }
    numbered(tx, &columns(), "customers c", conditions, "c.created_at DESC, c.id DESC", query, client)
}

/// Clients in whose name or e-mail address the text stands, whatever its case, among the newest
/// [`SEARCHED`].
pub fn search(
    tx: &mut Tx<'_>,
    scope: Scope,
    text: &str,
    query: NumberedQuery,
) -> Result<NumberedPage<ClientRow>, StoreError> {
    let pattern = like(text);
    let newest = format!(
        "FROM (SELECT {} FROM customers c WHERE c.merchant = ?1 AND c.live = ?2 AND c.deleted = 0 \
         ORDER BY c.created_at DESC, c.id DESC LIMIT ?3) c WHERE (LOWER(COALESCE(c.name, '')) LIKE ?4 ESCAPE '!' \
         OR LOWER(COALESCE(c.email, '')) LIKE ?4 ESCAPE '!')",
        columns()
    );
    let total = tx.one(
        &format!("SELECT COUNT(*) {newest}"),
        params![scope.merchant, scope.mode, SEARCHED, pattern],
        |r| r.next(),
    )?;
    let page = format!("SELECT * {newest} ORDER BY c.created_at DESC, c.id DESC LIMIT ?5 OFFSET ?6");
    let params = params![scope.merchant, scope.mode, SEARCHED, pattern, query.limit, query.offset];
    Ok(NumberedPage { data: tx.all(&page, params, client)?, total })
}

/// `%text%` in lower case, with what LIKE would read as its own taken literally.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// What a client has paid and not got back, by currency.
pub fn lifetime_value(tx: &mut Tx<'_>, id: CustomerId) -> Result<Vec<(Currency, i64)>, StoreError> {
    tx.all(
        "SELECT currency, CAST(SUM(amount_received - amount_refunded) AS BIGINT) FROM payments WHERE customer = ?1 \
         GROUP BY currency ORDER BY currency",
        params![id],
        |r| Ok((r.next()?, r.next()?)),
    )
}
