use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::StorefrontId;
use domain::scope::Scope;
use domain::storefront::{Redirects, Storefront};

const SELECT: &str = "SELECT s.id, s.merchant, s.live, g.number, s.name, s.url, s.status, s.currency, s.any_currency, \
    s.redirect_success, s.redirect_fail, s.redirect_return, s.request_expiration, s.fee_group, s.surcharge, \
    s.surcharge_hidden, s.payouts, s.adults_only, s.attempts_max, s.created_at, s.updated_at \
    FROM storefronts s JOIN gate_services g ON g.storefront = s.id";

fn storefront(row: &mut Row<'_>) -> Result<Storefront, StoreError> {
    Ok(Storefront {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        number: row.next()?,
        name: row.next()?,
        url: row.next()?,
        status: row.next()?,
        currency: row.next()?,
        any_currency: row.next()?,
        redirects: Redirects { success: row.next()?, fail: row.next()?, back: row.next()? },
        request_expiration: row.next()?,
        fee_group: row.next()?,
        surcharge: row.next()?,
        surcharge_hidden: row.next()?,
        payouts: row.next()?,
        adults_only: row.next()?,
        attempts_max: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Stores a storefront; the integer that it got on Gate.
pub fn insert(tx: &mut Tx<'_>, s: &Storefront) -> Result<i64, StoreError> {
    tx.execute(
        "INSERT INTO storefronts (id, merchant, live, name, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![s.id, s.scope.merchant, s.scope.mode, s.name, s.created_at],
    )?;
    update(tx, s)?;
    tx.one("INSERT INTO gate_services (storefront) VALUES (?1) RETURNING number", params![s.id], |r| r.next())
}

/// Writes everything about a storefront that can change.
pub fn update(tx: &mut Tx<'_>, s: &Storefront) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE storefronts SET name = ?1, url = ?2, status = ?3, currency = ?4, any_currency = ?5, \
         redirect_success = ?6, redirect_fail = ?7, redirect_return = ?8, request_expiration = ?9, fee_group = ?10, \
         surcharge = ?11, surcharge_hidden = ?12, payouts = ?13, adults_only = ?14, attempts_max = ?15, \
         updated_at = ?16 WHERE id = ?17",
        params![
            s.name,
            s.url,
            s.status,
            s.currency,
            s.any_currency,
            s.redirects.success,
            s.redirects.fail,
            s.redirects.back,
            s.request_expiration,
            s.fee_group,
            s.surcharge,
            s.surcharge_hidden,
            s.payouts,
            s.adults_only,
            s.attempts_max,
            s.updated_at,
            s.id,
        ],
    )?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, scope: Scope, id: StorefrontId) -> Result<Option<Storefront>, StoreError> {
    let sql = format!("{SELECT} WHERE s.id = ?1 AND s.merchant = ?2 AND s.live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], storefront)
}

/// The storefront with this integer on Gate, of any merchant: the request's signature says whose it is.
pub fn by_number(tx: &mut Tx<'_>, number: i64) -> Result<Option<Storefront>, StoreError> {
    tx.opt(&format!("{SELECT} WHERE g.number = ?1"), params![number], storefront)
}

/// All storefronts of all merchants. For the operator's commands.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Storefront>, StoreError> {
    tx.all(&format!("{SELECT} ORDER BY g.number"), &[], storefront)
}
