use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::id::{AttemptId, CustomerId, PaymentMethodId};
use domain::payment_method::{MethodKind, PaymentMethod};
use domain::scope::Scope;

const COLUMNS: &str =
    "id, merchant, live, facts, billing, customer, provider_token, used_up, metadata, created_at";

const TABLE: Table = Table { name: "payment_methods", columns: COLUMNS, id: "id", order: Order::Created };

fn method(row: &mut Row<'_>) -> Result<PaymentMethod, StoreError> {
    Ok(PaymentMethod {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        facts: row.next::<Json<_>>()?.0,
        billing: row.next::<Json<_>>()?.0,
        customer: row.next()?,
        provider_token: row.next()?,
        used_up: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, m: &PaymentMethod) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO payment_methods (id, merchant, live, kind, facts, billing, customer, provider_token, used_up, \
         metadata, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            m.id,
            m.scope.merchant,
            m.scope.mode,
            m.facts.kind(),
            json(&m.facts)?,
            json(&m.billing)?,
            m.customer,
            m.provider_token,
            m.used_up,
            json(&m.metadata)?,
            m.created_at,
        ],
    )?;
    Ok(())
}

pub fn update(tx: &mut Tx<'_>, m: &PaymentMethod) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE payment_methods SET facts = ?1, billing = ?2, customer = ?3, used_up = ?4, metadata = ?5, \
         former_customer = CASE WHEN CAST(?3 AS BYTEA) IS NULL THEN COALESCE(customer, former_customer) \
         ELSE former_customer END \
         WHERE id = ?6 AND merchant = ?7 AND live = ?8",
        params![
            json(&m.facts)?,
            json(&m.billing)?,
            m.customer,
            m.used_up,
            json(&m.metadata)?,
            m.id,
            m.scope.merchant,
            m.scope.mode,
        ],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Defect(format!("payment method {} was not updated", m.id)))
    }
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: PaymentMethodId) -> Result<Option<PaymentMethod>, StoreError> {
    let sql = select(COLUMNS, "payment_methods WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], method)
}

/// Reads a method and locks its row, so that two payments cannot both use a single-use method up.
pub fn lock(tx: &mut Tx<'_>, scope: Scope, id: PaymentMethodId) -> Result<Option<PaymentMethod>, StoreError> {
    let sql =
        select(COLUMNS, "payment_methods WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], method)
}

/// Uses a method without a customer up for one attempt, before the provider is asked: two payments at
/// the same time cannot both pay with it.
pub fn use_up(tx: &mut Tx<'_>, id: PaymentMethodId, attempt: AttemptId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payment_methods SET used_up = 1, used_by = ?1 WHERE id = ?2 AND customer IS NULL AND used_up = 0",
        params![attempt, id],
    )?;
    Ok(())
}

/// Gives back the method that an attempt used up, because it did not pay after all.
pub fn release(tx: &mut Tx<'_>, attempt: AttemptId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE payment_methods SET used_up = 0, used_by = NULL WHERE used_by = ?1 AND id = (SELECT payment_method \
         FROM attempts WHERE id = ?1)",
        params![attempt],
    )?;
    Ok(())
}

pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    customer: Option<CustomerId>,
    kind: Option<MethodKind>,
    query: &PageQuery,
) -> Listed<PaymentMethod> {
    let mut filters = Vec::new();
    filters.extend(customer.as_ref().map(|id| ("customer", id.param())));
    filters.extend(kind.as_ref().map(|k| ("kind", k.param())));
    page::list(tx, &TABLE, scope, &filters, query, method)
}
