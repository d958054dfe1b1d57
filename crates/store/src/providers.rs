use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Json, Row, Tx, json};
use domain::id::ProviderId;
use domain::merchant::{Provider, ProviderCheck};
use domain::off_platform;
use domain::scope::Scope;
use domain::time::Timestamp;

const COLUMNS: &str = "id, merchant, live, connector, name, enabled, shown, checked_at, check_error, created_at, \
    updated_at";

fn provider(row: &mut Row<'_>) -> Result<Provider, StoreError> {
    Ok(Provider {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        connector: row.next()?,
        name: row.next()?,
        enabled: row.next()?,
        shown: row.next::<Json<_>>()?.0,
        check: {
            let (at, error) = (row.next::<Option<Timestamp>>()?, row.next()?);
            at.map(|at| ProviderCheck { at, error })
        },
        created_at: row.next()?,
        updated_at: row.next()?,
    })
    .map(|p: Provider| Provider { updated_at: p.updated_at.max(p.created_at), ..p })
}

/// Stores a provider with its sealed credentials, if it has any.
pub fn insert(tx: &mut Tx<'_>, p: &Provider, credentials: Option<&[u8]>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO providers (id, merchant, live, connector, name, enabled, credentials, shown, created_at, \
         updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            p.id,
            p.scope.merchant,
            p.scope.mode,
            p.connector,
            p.name,
            p.enabled,
            credentials,
            json(&p.shown)?,
            p.created_at,
            p.updated_at
        ],
    )?;
    tx.execute("INSERT INTO gate_providers (provider) VALUES (?1)", params![p.id])?;
    Ok(())
}

/// Writes everything about a provider that can change but its credentials.
pub fn update(tx: &mut Tx<'_>, p: &Provider) -> Result<(), StoreError> {
    let (checked_at, check_error) =
        (p.check.as_ref().map(|c| c.at), p.check.as_ref().and_then(|c| c.error.as_deref()));
    tx.execute(
        "UPDATE providers SET name = ?1, enabled = ?2, shown = ?3, checked_at = ?4, check_error = ?5, \
         updated_at = ?6 WHERE id = ?7",
        params![p.name, p.enabled, json(&p.shown)?, checked_at, check_error, p.updated_at, p.id],
    )?;
    Ok(())
}

pub fn set_credentials(tx: &mut Tx<'_>, id: ProviderId, sealed: Option<&[u8]>) -> Result<(), StoreError> {
    tx.execute("UPDATE providers SET credentials = ?1 WHERE id = ?2", params![sealed, id])?;
    Ok(())
}

/// The sealed credentials.
pub fn credentials(tx: &mut Tx<'_>, id: ProviderId) -> Result<Option<Vec<u8>>, StoreError> {
    let found: Option<Option<Vec<u8>>> =
        tx.opt("SELECT credentials FROM providers WHERE id = ?1", params![id], |r| r.next())?;
    Ok(found.flatten())
}

/// Takes a provider out of use for good, and forgets its credentials. What went through it keeps its name.
pub fn delete(tx: &mut Tx<'_>, id: ProviderId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE providers SET deleted_at = ?1, enabled = 0, credentials = NULL, shown = '[]' WHERE id = ?2",
        params![now, id],
    )?;
    Ok(())
}

/// A provider's integer on Gate.
pub fn number(tx: &mut Tx<'_>, id: ProviderId) -> Result<i64, StoreError> {
    tx.one("SELECT number FROM gate_providers WHERE provider = ?1", params![id], |r| r.next())
}

/// A provider, deleted ones too: what went through it is still looked after.
pub fn get(tx: &mut Tx<'_>, scope: Scope, id: ProviderId) -> Result<Option<Provider>, StoreError> {
    let sql = select(COLUMNS, "providers WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], provider)
}

/// What attempts name that no provider of ours carried out; made when it is first needed. It counts as deleted, so
/// it is in no list and nothing is sent to it. Whoever makes it looks once more under
/// [`crate::merchants::lock_mode`].
pub fn off_platform(tx: &mut Tx<'_>, scope: Scope) -> Result<Option<ProviderId>, StoreError> {
    let sql = "SELECT id FROM providers WHERE merchant = ?1 AND live = ?2 AND connector = ?3";
    tx.opt(sql, params![scope.merchant, scope.mode, off_platform::CONNECTOR], |r| r.next())
}

/// Those that are not deleted, oldest first.
pub fn all(tx: &mut Tx<'_>, scope: Scope) -> Result<Vec<Provider>, StoreError> {
    let rest = "providers WHERE merchant = ?1 AND live = ?2 AND deleted_at IS NULL ORDER BY id";
    tx.all(&select(COLUMNS, rest), params![scope.merchant, scope.mode], provider)
}
