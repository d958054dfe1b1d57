use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::{PasskeyId, UserId};
use domain::passkey::Passkey;
use domain::time::Timestamp;

const COLUMNS: &str = "id, person, label, sign_count, created_at, last_used_at, credential";

/// A passkey with what the verifier keeps of it.
fn passkey(row: &mut Row<'_>) -> Result<(Passkey, String), StoreError> {
    let passkey = Passkey {
        id: row.next()?,
        user: row.next()?,
        label: row.next()?,
        sign_count: row.next()?,
        created_at: row.next()?,
        last_used_at: row.next()?,
    };
    Ok((passkey, row.next()?))
}

/// Inserts a passkey.
///
/// # Errors
/// [`StoreError::Conflict`] when the authenticator's name for it is registered, to whomever.
pub fn insert(
    tx: &mut Tx<'_>,
    p: &Passkey,
    credential_id: &[u8],
    credential: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO passkeys (id, person, credential_id, credential, sign_count, label, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![p.id, p.user, credential_id, credential, p.sign_count, p.label, p.created_at],
    )?;
    Ok(())
}

/// Somebody's passkeys with what the verifier keeps of them, oldest first.
pub fn of_user(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<(Passkey, String)>, StoreError> {
    tx.all(&select(COLUMNS, "passkeys WHERE person = ?1 ORDER BY id"), params![user], passkey)
}

/// Somebody's passkey by the authenticator's name for it, locked until the transaction ends: of two signatures
/// with one counter the second finds it taken.
pub fn lock(tx: &mut Tx<'_>, user: UserId, credential_id: &[u8]) -> Result<Option<Passkey>, StoreError> {
    let rest = "passkeys WHERE credential_id = ?1 AND person = ?2 /* for update */";
    let found = tx.opt(&select(COLUMNS, rest), params![credential_id, user], passkey)?;
    Ok(found.map(|(passkey, _)| passkey))
}

/// Notes the counter of a signature that was believed.
pub fn set_used(tx: &mut Tx<'_>, id: PasskeyId, count: i64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE passkeys SET sign_count = ?1, last_used_at = ?2 WHERE id = ?3",
        params![count, now, id],
    )?;
    Ok(())
}

/// Gives a passkey of this person another label; false when they have no such passkey.
pub fn set_label(tx: &mut Tx<'_>, user: UserId, id: PasskeyId, label: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE passkeys SET label = ?1 WHERE id = ?2 AND person = ?3";
    Ok(tx.execute(sql, params![label, id, user])? == 1)
}

/// Removes a passkey of this person; false when they have no such passkey.
pub fn remove(tx: &mut Tx<'_>, user: UserId, id: PasskeyId) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM passkeys WHERE id = ?1 AND person = ?2", params![id, user])? == 1)
}

/// Removes all passkeys of this person.
pub fn remove_all(tx: &mut Tx<'_>, user: UserId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM passkeys WHERE person = ?1", params![user])?;
    Ok(())
}
