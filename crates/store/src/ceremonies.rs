use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;
use domain::passkey::Ceremony;
use domain::time::Timestamp;

pub fn insert(tx: &mut Tx<'_>, c: &Ceremony) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ceremonies (code, kind, person, session, invite, account, state, expires_at, used_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
        params![c.code, c.kind, c.user, c.session, c.invite, c.account, c.state, c.expires_at],
    )?;
    Ok(())
}

/// Takes the challenge with this code for one answer; `None` when there is none, its time is over, or somebody
/// else took it: exactly one answer is looked at.
pub fn take(tx: &mut Tx<'_>, code: &str, now: Timestamp) -> Result<Option<Ceremony>, StoreError> {
    let taken = tx.execute(
        "UPDATE ceremonies SET used_at = ?1 WHERE code = ?2 AND used_at IS NULL AND expires_at > ?1",
        params![now, code],
    )?;
    if taken == 0 {
        return Ok(None);
    }
    let sql = "SELECT code, kind, person, session, invite, account, state, expires_at FROM ceremonies WHERE code = ?1";
    tx.opt(sql, params![code], |r| {
        Ok(Ceremony {
            code: r.next()?,
            kind: r.next()?,
            user: r.next()?,
            session: r.next()?,
            invite: r.next()?,
            account: r.next()?,
            state: r.next()?,
            expires_at: r.next()?,
        })
    })
}

/// Removes up to `limit` challenges whose time was over at `before`; how many.
pub fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM ceremonies WHERE code IN (SELECT code FROM ceremonies WHERE expires_at < ?1 \
         ORDER BY expires_at LIMIT ?2)",
        params![before, limit],
    )
}
