use crate::error::StoreError;
use crate::params;
use crate::tx::{Row, Tx};
use domain::access::Role;
use domain::id::{MerchantId, UserId};
use domain::user::{Membership, User};

/// Makes a person a member, or gives a member this role.
pub fn put(tx: &mut Tx<'_>, m: &Membership) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO memberships (person, merchant, role, created_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (person, merchant) DO UPDATE SET role = excluded.role",
        params![m.user, m.merchant, m.role, m.created_at],
    )?;
    Ok(())
}

/// The role of a person in an organisation.
pub fn role(tx: &mut Tx<'_>, user: UserId, merchant: MerchantId) -> Result<Option<Role>, StoreError> {
    let sql = "SELECT role FROM memberships WHERE person = ?1 AND merchant = ?2";
    tx.opt(sql, params![user, merchant], |r| r.next())
}

/// Locks an organisation's memberships until the transaction ends, so that of two administrators who take the
/// role from one another one finds it gone.
pub fn lock(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<Vec<(UserId, Role)>, StoreError> {
    let sql = "SELECT person, role FROM memberships WHERE merchant = ?1 ORDER BY person /* for update */";
    tx.all(sql, params![merchant], |r| Ok((r.next()?, r.next()?)))
}

/// Of which organisations a person is a member.
pub fn of_user(tx: &mut Tx<'_>, user: UserId, limit: i64) -> Result<Vec<(MerchantId, Role)>, StoreError> {
    let sql = "SELECT merchant, role FROM memberships WHERE person = ?1 ORDER BY merchant LIMIT ?2";
    tx.all(sql, params![user, limit], |r| Ok((r.next()?, r.next()?)))
}

/// An organisation's members with their role, those who joined first in front.
pub fn of_merchant(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    limit: i64,
) -> Result<Vec<(User, Membership)>, StoreError> {
    let sql = "SELECT u.id, u.email, u.name, u.global_admin, u.status, u.created_at, m.merchant, m.role, m.created_at \
               FROM memberships m JOIN users u ON u.id = m.person WHERE m.merchant = ?1 \
               ORDER BY m.created_at, u.id LIMIT ?2";
    tx.all(sql, params![merchant, limit], member)
}

fn member(row: &mut Row<'_>) -> Result<(User, Membership), StoreError> {
    let user = User {
        id: row.next()?,
        email: row.next()?,
        name: row.next()?,
        global_admin: row.next()?,
        status: row.next()?,
        created_at: row.next()?,
    };
    let membership =
        Membership { user: user.id, merchant: row.next()?, role: row.next()?, created_at: row.next()? };
    Ok((user, membership))
}

/// How many members an organisation has.
pub fn count(tx: &mut Tx<'_>, merchant: MerchantId) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM memberships WHERE merchant = ?1", params![merchant], |r| r.next())
}

/// Ends a membership; false when there was none.
pub fn remove(tx: &mut Tx<'_>, user: UserId, merchant: MerchantId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM memberships WHERE person = ?1 AND merchant = ?2";
    Ok(tx.execute(sql, params![user, merchant])? == 1)
}
