use crate::error::StoreError;
use crate::params;
use crate::tx::{Json, Tx, json};
use domain::scope::Scope;
use domain::settings_group::SettingsGroup;
use domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is set in a group; its defaults if nothing is.
pub fn get<T: DeserializeOwned + Default>(
    tx: &mut Tx<'_>,
    scope: Scope,
    group: SettingsGroup,
) -> Result<T, StoreError> {
    let sql = "SELECT value FROM settings_groups WHERE merchant = ?1 AND live = ?2 AND name = ?3";
    let found: Option<Json<T>> =
        tx.opt(sql, params![scope.merchant, scope.mode, group.as_str()], |r| r.next())?;
    Ok(found.map(|json| json.0).unwrap_or_default())
}

pub fn put<T: Serialize>(
    tx: &mut Tx<'_>,
    scope: Scope,
    group: SettingsGroup,
    value: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO settings_groups (merchant, live, name, value, updated_at) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (merchant, live, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        params![scope.merchant, scope.mode, group.as_str(), json(value)?, now],
    )?;
    Ok(())
}
