use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::UserId;
use domain::user::{User, UserStatus};

const COLUMNS: &str = "id, email, name, global_admin, status, created_at";

fn user(row: &mut Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: row.next()?,
        email: row.next()?,
        name: row.next()?,
        global_admin: row.next()?,
        status: row.next()?,
        created_at: row.next()?,
    })
}

/// Inserts a person.
///
/// # Errors
/// [`StoreError::Conflict`] when the address is taken.
pub fn insert(tx: &mut Tx<'_>, u: &User) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO users (id, email, name, global_admin, status, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![u.id, u.email, u.name, u.global_admin, u.status, u.created_at],
    )?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    tx.opt(&select(COLUMNS, "users WHERE id = ?1"), params![id], user)
}

/// The person with this id, locked until the transaction ends. Whatever counts somebody's passkeys or sessions
/// to decide holds this lock.
pub fn lock(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>, StoreError> {
    tx.opt(&select(COLUMNS, "users WHERE id = ?1 /* for update */"), params![id], user)
}

/// The person with this address, as [`domain::user::email_of`] writes it.
pub fn by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<User>, StoreError> {
    tx.opt(&select(COLUMNS, "users WHERE email = ?1"), params![email], user)
}

/// Global administrators, disabled ones too, oldest first.
pub fn global_admins(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<User>, StoreError> {
    tx.all(&select(COLUMNS, "users WHERE global_admin = 1 ORDER BY id LIMIT ?1"), params![limit], user)
}

pub fn set_name(tx: &mut Tx<'_>, id: UserId, name: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE users SET name = ?1 WHERE id = ?2", params![name, id])?;
    Ok(())
}

pub fn set_status(tx: &mut Tx<'_>, id: UserId, status: UserStatus) -> Result<(), StoreError> {
    tx.execute("UPDATE users SET status = ?1 WHERE id = ?2", params![status, id])?;
    Ok(())
}

pub fn set_global_admin(tx: &mut Tx<'_>, id: UserId) -> Result<(), StoreError> {
    tx.execute("UPDATE users SET global_admin = 1 WHERE id = ?1", params![id])?;
    Ok(())
}
