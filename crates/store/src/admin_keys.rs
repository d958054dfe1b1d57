use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Json, Param, Row, ToParam, Tx, json};
use domain::admin_key::AdminKey;
use domain::id::{AdminKeyId, MerchantId};
use domain::scope::Mode;
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, name, grants, networks, last4, created_by, created_at, last_used_at, \
    revoked_at, old_until";

fn admin_key(row: &mut Row<'_>) -> Result<AdminKey, StoreError> {
    Ok(AdminKey {
        id: row.next()?,
        merchant: row.next()?,
        mode: row.next()?,
        name: row.next()?,
        grants: row.next::<Json<_>>()?.0,
        networks: row.next::<Json<_>>()?.0,
        last4: row.next()?,
        created_by: row.next()?,
        created_at: row.next()?,
        last_used_at: row.next()?,
        revoked_at: row.next()?,
        old_until: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, k: &AdminKey, digest: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO admin_keys (id, merchant, live, name, grants, networks, digest, last4, created_by, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            k.id,
            k.merchant,
            k.mode,
            k.name,
            json(&k.grants)?,
            json(&k.networks)?,
            digest,
            k.last4,
            k.created_by,
            k.created_at
        ],
    )?;
    Ok(())
}

/// The digests of a key's secret: now, and before the last rotation until its end.
pub struct Digests {
    pub current: Vec<u8>,
    pub old: Option<(Vec<u8>, Timestamp)>,
}

/// A key by its public half, whoever's it is: its secret half must say who asks.
pub fn by_id(tx: &mut Tx<'_>, id: AdminKeyId) -> Result<Option<(AdminKey, Digests)>, StoreError> {
    let columns = format!("{COLUMNS}, digest, old_digest, old_until");
    tx.opt(&select(&columns, "admin_keys WHERE id = ?1"), params![id], |row| {
        let key = admin_key(row)?;
        let current = row.next()?;
        let (old, until): (Option<Vec<u8>>, Option<Timestamp>) = (row.next()?, row.next()?);
        Ok((key, Digests { current, old: old.zip(until) }))
    })
}

/// A key of an organisation and mode, or a system key of either mode, locked until the transaction ends.
pub fn lock(
    tx: &mut Tx<'_>,
    owner: Option<(MerchantId, Mode)>,
    id: AdminKeyId,
) -> Result<Option<AdminKey>, StoreError> {
    match owner {
        Some((merchant, mode)) => tx.opt(
            &select(COLUMNS, "admin_keys WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */"),
            params![id, merchant, mode],
            admin_key,
        ),
        None => tx.opt(
            &select(COLUMNS, "admin_keys WHERE id = ?1 AND merchant IS NULL /* for update */"),
            params![id],
            admin_key,
        ),
    }
}

/// All keys of an organisation in one mode, or all system keys, oldest first.
pub fn all(tx: &mut Tx<'_>, owner: Option<(MerchantId, Mode)>) -> Result<Vec<AdminKey>, StoreError> {
    match owner {
        Some((merchant, mode)) => tx.all(
            &select(COLUMNS, "admin_keys WHERE merchant = ?1 AND live = ?2 ORDER BY id"),
            params![merchant, mode],
            admin_key,
        ),
        None => tx.all(&select(COLUMNS, "admin_keys WHERE merchant IS NULL ORDER BY id"), &[], admin_key),
    }
}

/// Writes a key's name, scopes and networks.
pub fn update(tx: &mut Tx<'_>, k: &AdminKey) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE admin_keys SET name = ?1, grants = ?2, networks = ?3 WHERE id = ?4",
        params![k.name, json(&k.grants)?, json(&k.networks)?, k.id],
    )?;
    Ok(())
}

/// Gives a key a new secret. The old one works until `old_until`; not at all if `None`.
pub fn rotate(
    tx: &mut Tx<'_>,
    id: AdminKeyId,
    digest: &[u8; 32],
    last4: &str,
    old_until: Option<Timestamp>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE admin_keys SET old_digest = CASE WHEN CAST(?1 AS BIGINT) IS NULL THEN NULL ELSE digest END, \
         old_until = ?1, digest = ?2, last4 = ?3 WHERE id = ?4",
        params![old_until, digest, last4, id],
    )?;
    Ok(())
}

/// Forgets up to `limit` old secrets whose time is over; how many.
pub fn forget_ended(tx: &mut Tx<'_>, now: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE admin_keys SET old_digest = NULL, old_until = NULL WHERE id IN (SELECT id FROM admin_keys \
         WHERE old_until IS NOT NULL AND old_until <= ?1 ORDER BY old_until LIMIT ?2)",
        params![now, limit],
    )
}

/// Ends a key; false when it had ended before.
pub fn revoke(tx: &mut Tx<'_>, id: AdminKeyId, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE admin_keys SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL";
    Ok(tx.execute(sql, params![now, id])? == 1)
}

pub fn delete(tx: &mut Tx<'_>, id: AdminKeyId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM admin_keys WHERE id = ?1", params![id])?;
    Ok(())
}

/// Notes when keys were last used.
pub fn note_used(tx: &mut Tx<'_>, used: &[(AdminKeyId, Timestamp)]) -> Result<(), StoreError> {
    for (id, at) in used {
        let sql = "UPDATE admin_keys SET last_used_at = ?1 WHERE id = ?2 AND (last_used_at IS NULL OR last_used_at < ?1)";
        let params: [Param<'_>; 2] = [at.param(), id.param()];
        tx.execute(sql, &params)?;
    }
    Ok(())
}
