use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Param, Row, ToParam, Tx, json};
use domain::customer::Customer;
use domain::id::{ClockId, CustomerId};
use domain::scope::Scope;

pub(crate) const COLUMNS: &str = "id, merchant, live, email, name, phone, description, address, shipping, preferred_locales, \
    default_payment_method, metadata, clock, created_at";

const TABLE: Table = Table { name: "customers", columns: COLUMNS, id: "id", order: Order::Created };

pub(crate) fn customer(row: &mut Row<'_>) -> Result<Customer, StoreError> {
    Ok(Customer {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        email: row.next()?,
        name: row.next()?,
        phone: row.next()?,
        description: row.next()?,
        address: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        shipping: row.next::<Option<Json<_>>>()?.map(|j| j.0),
        preferred_locales: row.next::<Json<_>>()?.0,
        default_payment_method: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        clock: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, c: &Customer) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO customers (id, merchant, live, email, name, phone, description, address, shipping, \
         preferred_locales, default_payment_method, metadata, clock, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        params![
            c.id,
            c.scope.merchant,
            c.scope.mode,
            c.email,
            c.name,
            c.phone,
            c.description,
            c.address.as_ref().map(json).transpose()?,
            c.shipping.as_ref().map(json).transpose()?,
            json(&c.preferred_locales)?,
            c.default_payment_method,
            json(&c.metadata)?,
            c.clock,
            c.created_at,
        ],
    )?;
    Ok(())
}

pub fn update(tx: &mut Tx<'_>, c: &Customer) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE customers SET email = ?1, name = ?2, phone = ?3, description = ?4, address = ?5, shipping = ?6, \
         preferred_locales = ?7, default_payment_method = ?8, metadata = ?9 WHERE id = ?10 AND merchant = ?11 \
         AND live = ?12",
        params![
            c.email,
            c.name,
            c.phone,
            c.description,
            c.address.as_ref().map(json).transpose()?,
            c.shipping.as_ref().map(json).transpose()?,
            json(&c.preferred_locales)?,
            c.default_payment_method,
            json(&c.metadata)?,
            c.id,
            c.scope.merchant,
            c.scope.mode,
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Defect(format!("customer {} was not updated", c.id))) }
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: CustomerId) -> Result<Option<Customer>, StoreError> {
    let sql = select(COLUMNS, "customers WHERE id = ?1 AND merchant = ?2 AND live = ?3 AND deleted = 0");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], customer)
}

/// Reads a customer and locks its row until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, scope: Scope, id: CustomerId) -> Result<Option<Customer>, StoreError> {
    let sql = select(
        COLUMNS,
        "customers WHERE id = ?1 AND merchant = ?2 AND live = ?3 AND deleted = 0 /* for update */",
    );
    tx.opt(&sql, params![id, scope.merchant, scope.mode], customer)
}

/// Customers, all or those with exactly this e-mail address or of this test clock.
pub fn list(
    tx: &mut Tx<'_>,
    scope: Scope,
    email: Option<&str>,
    clock: Option<ClockId>,
    query: &PageQuery,
) -> Listed<Customer> {
    let mut filters = vec![("deleted", Param::Int(0))];
    filters.extend(email.as_ref().map(|e| ("email", e.param())));
    filters.extend(clock.as_ref().map(|id| ("clock", id.param())));
    page::list(tx, &TABLE, scope, &filters, query, customer)
}
