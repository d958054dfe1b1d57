use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::gate_token::GateToken;
use domain::id::{GateTokenId, StorefrontId};
use domain::scope::Scope;
use domain::time::Timestamp;

const COLUMNS: &str =
    "id, merchant, live, storefront, name, last4, variant, dialect, created_at, revoked_at, secret";

/// A token with its sealed secret.
fn token(row: &mut Row<'_>) -> Result<(GateToken, Vec<u8>), StoreError> {
    let token = GateToken {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        storefront: row.next()?,
        name: row.next()?,
        last4: row.next()?,
        variant: row.next()?,
        dialect: row.next()?,
        created_at: row.next()?,
        revoked_at: row.next()?,
    };
    Ok((token, row.next()?))
}

pub fn insert(tx: &mut Tx<'_>, t: &GateToken, secret: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gate_tokens (id, merchant, live, storefront, name, secret, last4, variant, dialect, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            t.id,
            t.scope.merchant,
            t.scope.mode,
            t.storefront,
            t.name,
            secret,
            t.last4,
            t.variant,
            t.dialect,
            t.created_at,
        ],
    )?;
    Ok(())
}

/// Every token of a storefront with its sealed secret, revoked ones too, oldest first.
pub fn of_storefront(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
) -> Result<Vec<(GateToken, Vec<u8>)>, StoreError> {
    tx.all(&select(COLUMNS, "gate_tokens WHERE storefront = ?1 ORDER BY id"), params![storefront], token)
}

/// Ends a token; `None` if there is no such token that was valid.
pub fn revoke(tx: &mut Tx<'_>, id: GateTokenId, now: Timestamp) -> Result<Option<GateToken>, StoreError> {
    let revoked = tx.execute(
        "UPDATE gate_tokens SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL",
        params![now, id],
    )?;
    if revoked == 0 {
        return Ok(None);
    }
    let found = tx.opt(&select(COLUMNS, "gate_tokens WHERE id = ?1"), params![id], token)?;
    Ok(found.map(|(token, _)| token))
}
