use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;
use domain::scope::Scope;
use domain::time::Timestamp;

/// A request that must have one effect, however often it is sent.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub scope: Scope,
    pub key: String,
    /// Keyed digest of method, path and parameters.
    pub fingerprint: [u8; 32],
    pub surface: String,
    /// Which reply to render when the work ends, whoever ends it.
    pub reply_kind: String,
    /// Paths to expand in that reply.
    pub expand: Vec<String>,
    /// The first request's id.
    pub request: String,
    pub created_at: Timestamp,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct KnownKey {
    pub fingerprint: Vec<u8>,
    pub surface: String,
    pub reply_kind: String,
    pub expand: Vec<String>,
    pub request: String,
    /// Status and sealed body, once the work has ended.
    pub reply: Option<(i64, Vec<u8>)>,
    pub created_at: Timestamp,
}

/// Records a key: with its reply when the work is done in this very transaction, without one when a
/// provider must be asked first. A known key whose reply is from before `expired_before` is taken
/// over; anything younger is left alone, whoever claimed it since the caller looked.
///
/// On PostgreSQL a second transaction with the same key waits here for the first one to end, and then
/// runs again from the start and finds what the first one left.
pub fn insert(
    tx: &mut Tx<'_>,
    new: &NewKey,
    reply: Option<(i64, &[u8])>,
    expired_before: Timestamp,
) -> Result<(), StoreError> {
    let inserted = tx.execute(
        "INSERT INTO idempotency_keys (merchant, live, key, fingerprint, surface, reply_kind, expand, object, \
         request, status, reply, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8, ?9, ?10, ?11) \
         ON CONFLICT (merchant, live, key) DO UPDATE SET fingerprint = excluded.fingerprint, \
         surface = excluded.surface, reply_kind = excluded.reply_kind, expand = excluded.expand, \
         request = excluded.request, status = excluded.status, reply = excluded.reply, \
         created_at = excluded.created_at \
         WHERE idempotency_keys.created_at < ?12 AND idempotency_keys.reply IS NOT NULL",
        params![
            new.scope.merchant,
            new.scope.mode,
            new.key,
            new.fingerprint,
            new.surface,
            new.reply_kind,
            new.expand.join(","),
            new.request,
            reply.map(|r| r.0),
            reply.map(|r| r.1),
            new.created_at,
            expired_before,
        ],
    )?;
    if inserted == 1 {
        return Ok(());
    }
    tx.run_again();
    Err(StoreError::Retry)
}

pub fn find(tx: &mut Tx<'_>, scope: Scope, key: &str) -> Result<Option<KnownKey>, StoreError> {
    tx.opt(
        "SELECT fingerprint, surface, reply_kind, expand, request, status, reply, created_at FROM idempotency_keys \
         WHERE merchant = ?1 AND live = ?2 AND key = ?3",
        params![scope.merchant, scope.mode, key],
        |r| {
            let fingerprint = r.next()?;
            let (surface, reply_kind) = (r.next()?, r.next()?);
            let expand: String = r.next()?;
            let request = r.next()?;
            let status: Option<i64> = r.next()?;
            let reply: Option<Vec<u8>> = r.next()?;
            Ok(KnownKey {
                fingerprint,
                surface,
                reply_kind,
                expand: expand.split(',').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
                request,
                reply: status.zip(reply),
                created_at: r.next()?,
            })
        },
    )
}

/// Stores the reply with which every repetition of the request will be answered.
pub fn finish(tx: &mut Tx<'_>, scope: Scope, key: &str, status: i64, reply: &[u8]) -> Result<(), StoreError> {
    let changed = tx.execute(
        "UPDATE idempotency_keys SET status = ?1, reply = ?2 WHERE merchant = ?3 AND live = ?4 AND key = ?5 \
         AND reply IS NULL",
        params![status, reply, scope.merchant, scope.mode, key],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Defect("an idempotency key was finished twice".to_owned()))
    }
}

/// Removes finished keys from before `before`; how many.
pub fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM idempotency_keys WHERE (merchant, live, key) IN (SELECT merchant, live, key \
         FROM idempotency_keys WHERE created_at < ?1 AND reply IS NOT NULL ORDER BY created_at LIMIT ?2)",
        params![before, limit],
    )
}
