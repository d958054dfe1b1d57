use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::{ApiKeyId, MerchantId};
use domain::merchant::ApiKey;
use domain::scope::Scope;
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, kind, name, last4, created_at, revoked_at, ends_at";

fn api_key(row: &mut Row<'_>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        kind: row.next()?,
        name: row.next()?,
        last4: row.next()?,
        created_at: row.next()?,
        revoked_at: row.next()?,
        ends_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, key: &ApiKey, digest: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO api_keys (id, merchant, live, kind, digest, last4, name, created_at, revoked_at, ends_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL)",
        params![
            key.id,
            key.scope.merchant,
            key.scope.mode,
            key.kind,
            digest,
            key.last4,
            key.name,
            key.created_at
        ],
    )?;
    Ok(())
}

/// The key with this digest, revoked or not. The only query that starts without a scope: it finds it.
pub fn by_digest(tx: &mut Tx<'_>, digest: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
    tx.opt(&crate::page::select(COLUMNS, "api_keys WHERE digest = ?1"), params![digest], api_key)
}

/// All keys of a merchant, both modes, oldest first. For the operator's command.
pub fn of_merchant(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<Vec<ApiKey>, StoreError> {
    tx.all(
        &crate::page::select(COLUMNS, "api_keys WHERE merchant = ?1 ORDER BY id"),
        params![merchant],
        api_key,
    )
}

/// The key with this id, locked until the transaction ends: of two rotations one finds it ended.
pub fn lock(tx: &mut Tx<'_>, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    tx.opt(&crate::page::select(COLUMNS, "api_keys WHERE id = ?1 /* for update */"), params![id], api_key)
}

/// Whose key it is.
pub fn merchant_of(tx: &mut Tx<'_>, id: ApiKeyId) -> Result<Option<MerchantId>, StoreError> {
    tx.opt("SELECT merchant FROM api_keys WHERE id = ?1", params![id], |r| r.next())
}

/// Sets when a key stops working.
pub fn set_end(tx: &mut Tx<'_>, id: ApiKeyId, end: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE api_keys SET ends_at = ?1 WHERE id = ?2", params![end, id])?;
    Ok(())
}

/// Revokes up to `limit` keys whose end has passed, so that a clock which goes back revives none; how many.
pub fn revoke_ended(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE api_keys SET revoked_at = ends_at WHERE id IN (SELECT id FROM api_keys WHERE ends_at IS NOT NULL \
         AND revoked_at IS NULL AND ends_at <= ?1 ORDER BY ends_at LIMIT ?2)",
        params![now, limit],
    )
}

/// Revokes a key; false when there is none with this id that is still valid.
pub fn revoke(tx: &mut Tx<'_>, id: ApiKeyId, now: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.execute(
        "UPDATE api_keys SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL",
        params![now, id],
    )? == 1)
}
