use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::access::Role;
use domain::id::{InviteId, MerchantId, UserId};
use domain::time::Timestamp;
use domain::user::{Invitation, Invite};

const COLUMNS: &str = "id, email, name, merchant, role, person, created_at, expires_at, closed_at";

fn invite(row: &mut Row<'_>) -> Result<Invite, StoreError> {
    let (id, email, name) = (row.next()?, row.next()?, row.next()?);
    let (merchant, role, user): (Option<MerchantId>, Option<Role>, Option<UserId>) =
        (row.next()?, row.next()?, row.next()?);
    let invitation = match (merchant, role, user) {
        (Some(merchant), Some(role), _) => Invitation::Member { merchant, role },
        (_, _, Some(user)) => Invitation::Recovery { user },
        _ => Invitation::GlobalAdmin,
    };
    Ok(Invite {
        id,
        email,
        name,
        invitation,
        created_at: row.next()?,
        expires_at: row.next()?,
        closed_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, i: &Invite, digest: &[u8; 32]) -> Result<(), StoreError> {
    let (merchant, role, user) = match &i.invitation {
        Invitation::Member { merchant, role } => (Some(*merchant), Some(*role), None),
        Invitation::GlobalAdmin => (None, None, None),
        Invitation::Recovery { user } => (None, None, Some(*user)),
    };
    tx.execute(
        "INSERT INTO invites (id, digest, email, name, merchant, role, person, created_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![i.id, digest, i.email, i.name, merchant, role, user, i.created_at, i.expires_at],
    )?;
    Ok(())
}

/// The invitation with this token's digest, open or not. The token is the credential, so there is no scope.
pub fn by_digest(tx: &mut Tx<'_>, digest: &[u8; 32]) -> Result<Option<Invite>, StoreError> {
    tx.opt(&select(COLUMNS, "invites WHERE digest = ?1"), params![digest], invite)
}

pub fn get(tx: &mut Tx<'_>, id: InviteId) -> Result<Option<Invite>, StoreError> {
    tx.opt(&select(COLUMNS, "invites WHERE id = ?1"), params![id], invite)
}

/// Invitations of an organisation, or of none, that can be taken up at `now`, oldest first.
pub fn open(
    tx: &mut Tx<'_>,
    merchant: Option<MerchantId>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Invite>, StoreError> {
    match merchant {
        Some(merchant) => {
            let rest =
                "invites WHERE merchant = ?1 AND closed_at IS NULL AND expires_at > ?2 ORDER BY id LIMIT ?3";
            tx.all(&select(COLUMNS, rest), params![merchant, now, limit], invite)
        }
        None => {
            let rest = "invites WHERE merchant IS NULL AND closed_at IS NULL AND expires_at > ?1 ORDER BY id LIMIT ?2";
            tx.all(&select(COLUMNS, rest), params![now, limit], invite)
        }
    }
}

/// Closes an invitation. False when it was closed or has lapsed: of two that take it up one does.
pub fn close(tx: &mut Tx<'_>, id: InviteId, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE invites SET closed_at = ?1 WHERE id = ?2 AND closed_at IS NULL AND expires_at > ?1";
    Ok(tx.execute(sql, params![now, id])? == 1)
}

/// Removes up to `limit` invitations whose time was over at `before`; how many.
pub fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM invites WHERE id IN (SELECT id FROM invites WHERE expires_at < ?1 \
         ORDER BY expires_at LIMIT ?2)",
        params![before, limit],
    )
}
