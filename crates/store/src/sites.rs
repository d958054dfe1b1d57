use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Json, Row, Tx, json};
use domain::id::StorefrontId;
use domain::scope::Scope;
use domain::site::SiteFacet;
use domain::time::Timestamp;

const COLUMNS: &str =
    "storefront, merchant, live, branding, providers, default_provider, ipn_version, deleted_at";

fn facet(row: &mut Row<'_>) -> Result<SiteFacet, StoreError> {
    Ok(SiteFacet {
        storefront: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        branding: row.next::<Json<_>>()?.0,
        providers: row.next::<Json<_>>()?.0,
        default_provider: row.next()?,
        ipn_version: row.next()?,
        deleted_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, s: &SiteFacet) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sites (storefront, merchant, live, branding, providers, default_provider, ipn_version) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            s.storefront,
            s.scope.merchant,
            s.scope.mode,
            json(&s.branding)?,
            json(&s.providers)?,
            s.default_provider,
            s.ipn_version
        ],
    )?;
    Ok(())
}

/// Writes everything about a site that can change but its secret.
pub fn update(tx: &mut Tx<'_>, s: &SiteFacet) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sites SET branding = ?1, providers = ?2, default_provider = ?3, ipn_version = ?4, deleted_at = ?5 \
         WHERE storefront = ?6",
        params![
            json(&s.branding)?,
            json(&s.providers)?,
            s.default_provider,
            s.ipn_version,
            s.deleted_at,
            s.storefront
        ],
    )?;
    Ok(())
}

/// The site that a storefront is, deleted or not.
pub fn get(tx: &mut Tx<'_>, scope: Scope, id: StorefrontId) -> Result<Option<SiteFacet>, StoreError> {
    let sql = select(COLUMNS, "sites WHERE storefront = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], facet)
}

/// Those that are not deleted, oldest first.
pub fn all(tx: &mut Tx<'_>, scope: Scope) -> Result<Vec<SiteFacet>, StoreError> {
    let rest = "sites WHERE merchant = ?1 AND live = ?2 AND deleted_at IS NULL ORDER BY storefront";
    tx.all(&select(COLUMNS, rest), params![scope.merchant, scope.mode], facet)
}

/// The sealed secret of a site's notices; `None` before one is needed.
pub fn secret(tx: &mut Tx<'_>, id: StorefrontId) -> Result<Option<Vec<u8>>, StoreError> {
    let found: Option<Option<Vec<u8>>> =
        tx.opt("SELECT webhook_secret FROM sites WHERE storefront = ?1", params![id], |r| r.next())?;
    Ok(found.flatten())
}

/// Gives a site its first secret; one that it has by now stays.
pub fn set_first_secret(tx: &mut Tx<'_>, id: StorefrontId, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE sites SET webhook_secret = ?1 WHERE storefront = ?2 AND webhook_secret IS NULL";
    tx.execute(sql, params![sealed, id])?;
    Ok(())
}

pub fn set_secret(tx: &mut Tx<'_>, id: StorefrontId, sealed: &[u8]) -> Result<(), StoreError> {
    tx.execute("UPDATE sites SET webhook_secret = ?1 WHERE storefront = ?2", params![sealed, id])?;
    Ok(())
}

/// Takes a site out of use; what it has goes on.
pub fn delete(tx: &mut Tx<'_>, id: StorefrontId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE sites SET deleted_at = ?1 WHERE storefront = ?2", params![now, id])?;
    tx.execute(
        "UPDATE storefronts SET status = 'disabled', updated_at = ?1 WHERE id = ?2",
        params![now, id],
    )?;
    Ok(())
}
