//! Sessions and their refresh tokens.

use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::id::{SessionId, UserId};
use domain::scope::Mode;
use domain::session::{Session, SessionEnd};
use domain::time::Timestamp;

const COLUMNS: &str = "id, person, live, created_at, seen_at, authenticated_at, refreshes, ended";

fn session(row: &mut Row<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: row.next()?,
        user: row.next()?,
        mode: row.next()?,
        created_at: row.next()?,
        seen_at: row.next()?,
        authenticated_at: row.next()?,
        refreshes: row.next()?,
        ended: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, s: &Session) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO sessions (id, person, live, created_at, seen_at, authenticated_at, refreshes, ended) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
        params![s.id, s.user, s.mode, s.created_at, s.seen_at, s.authenticated_at, s.refreshes],
    )?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: SessionId) -> Result<Option<Session>, StoreError> {
    tx.opt(&select(COLUMNS, "sessions WHERE id = ?1"), params![id], session)
}

/// The session with this id, locked until the transaction ends.
pub fn lock(tx: &mut Tx<'_>, id: SessionId) -> Result<Option<Session>, StoreError> {
    tx.opt(&select(COLUMNS, "sessions WHERE id = ?1 /* for update */"), params![id], session)
}

/// Notes that a session was used. Never takes the time back.
pub fn see(tx: &mut Tx<'_>, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET seen_at = ?1 WHERE id = ?2 AND seen_at < ?1 AND ended IS NULL";
    tx.execute(sql, params![now, id])?;
    Ok(())
}

/// Notes that the person proved once more who they are.
pub fn set_authenticated(tx: &mut Tx<'_>, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET authenticated_at = ?1, seen_at = ?1 WHERE id = ?2";
    tx.execute(sql, params![now, id])?;
    Ok(())
}

/// Ends a session; false when it had ended before.
pub fn end(tx: &mut Tx<'_>, id: SessionId, why: SessionEnd) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE sessions SET ended = ?1 WHERE id = ?2 AND ended IS NULL", params![why, id])? == 1)
}

/// Ends all sessions of a person.
pub fn end_all(tx: &mut Tx<'_>, user: UserId, why: SessionEnd) -> Result<(), StoreError> {
    tx.execute("UPDATE sessions SET ended = ?1 WHERE person = ?2 AND ended IS NULL", params![why, user])?;
    Ok(())
}

/// Ends the oldest sessions of a person, so that at most `keep` are left.
pub fn end_oldest(tx: &mut Tx<'_>, user: UserId, keep: i64, why: SessionEnd) -> Result<(), StoreError> {
    let sql =
        "SELECT id FROM sessions WHERE person = ?1 AND ended IS NULL ORDER BY id DESC LIMIT 1000 OFFSET ?2";
    for id in tx.all(sql, params![user, keep], |r| r.next::<SessionId>())? {
        end(tx, id, why)?;
    }
    Ok(())
}

pub fn insert_refresh(tx: &mut Tx<'_>, digest: &[u8; 32], session: SessionId) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refresh_tokens (digest, session, used_at) VALUES (?1, ?2, NULL)",
        params![digest, session],
    )?;
    Ok(())
}

/// The session of a refresh token, used or not.
pub fn of_refresh(tx: &mut Tx<'_>, digest: &[u8; 32]) -> Result<Option<SessionId>, StoreError> {
    tx.opt("SELECT session FROM refresh_tokens WHERE digest = ?1", params![digest], |r| r.next())
}

/// Uses a refresh token up. False when somebody else did: exactly one of two that bring it goes on.
pub fn use_refresh(tx: &mut Tx<'_>, digest: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE refresh_tokens SET used_at = ?1 WHERE digest = ?2 AND used_at IS NULL";
    Ok(tx.execute(sql, params![now, digest])? == 1)
}

/// Counts a refresh, and notes the mode that was asked for.
pub fn refreshed(tx: &mut Tx<'_>, id: SessionId, mode: Mode, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sessions SET live = ?1, seen_at = ?2, refreshes = refreshes + 1 WHERE id = ?3",
        params![mode, now, id],
    )?;
    Ok(())
}

/// Removes up to `limit` sessions made before `before`, with their tokens; how many.
pub fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    // Ids carry the instant at which they were made.
    let oldest = "SELECT id FROM sessions WHERE id < ?1 ORDER BY id LIMIT ?2";
    let old: Vec<SessionId> =
        tx.all(oldest, params![crate::ledger::first_id(before), limit], |r| r.next())?;
    for id in &old {
        tx.execute("DELETE FROM refresh_tokens WHERE session = ?1", params![id])?;
        tx.execute("DELETE FROM sessions WHERE id = ?1", params![id])?;
    }
    Ok(old.len())
}
